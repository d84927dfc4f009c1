//! A real PostgreSQL: durable by default, crashed, stopped, restarted and gone without a trace.

use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jaego_testkit::{Error, Postgres, PostgresOptions};

const DATABASE: &str = "postgres";

#[test]
fn a_crash_keeps_what_was_committed_and_forgets_what_was_not() {
    let mut postgres = Postgres::start(&PostgresOptions::default()).unwrap();
    let run = |postgres: &Postgres, sql: &str| postgres.execute(DATABASE, sql).unwrap();
    assert_eq!(run(&postgres, "show fsync"), "on");
    assert_eq!(run(&postgres, "show synchronous_commit"), "on");
    run(&postgres, "create table stock (sku text primary key, quantity int not null)");
    run(&postgres, "insert into stock values ('mug', 10), ('cup', 3)");

    // A transaction is open, with its row changed, when the server is killed.
    thread::scope(|scope| {
        let url = postgres.url(DATABASE);
        let session = scope.spawn(move || {
            let sql = "begin; update stock set quantity = 0 where sku = 'mug'; select pg_sleep(600)";
            psql(&url, sql)
        });
        let waiting = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        jaego_testkit::wait_until("the open transaction", Duration::from_secs(20), || {
            (run(&postgres, waiting) == "1").then_some(())
        })
        .unwrap();
        postgres.kill_9().unwrap();
        assert!(!session.join().unwrap(), "the killed session has failed");
    });

    assert!(TcpStream::connect(postgres.addr()).is_err());
    postgres.restart().unwrap();
    assert_eq!(run(&postgres, "select sku, quantity from stock order by sku"), "cup|3\nmug|10");
}

#[test]
fn a_stopped_server_is_silent_in_open_sessions_too_and_goes_on_later() {
    let mut postgres = Postgres::start(&PostgresOptions::default()).unwrap();
    let url = postgres.url(DATABASE);
    let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    let (answered, answer) = mpsc::channel();
    let session = thread::spawn(move || answered.send(psql(&url, "select pg_sleep(0.2)")));
    jaego_testkit::wait_until("the session", Duration::from_secs(20), || {
        (postgres.execute(DATABASE, sleeping).unwrap() == "1").then_some(())
    })
    .unwrap();

    postgres.stop().unwrap();
    assert!(answer.recv_timeout(Duration::from_millis(500)).is_err(), "its backend is stopped as well");
    postgres.cont().unwrap();
    assert!(answer.recv_timeout(Duration::from_secs(20)).unwrap());
    session.join().unwrap().unwrap();
}

#[test]
fn settings_reach_the_server_and_both_ways_in_work() {
    let settings = vec![("max_connections".to_owned(), "17".to_owned())];
    let mut postgres = Postgres::start(&PostgresOptions { settings }).unwrap();
    assert_eq!(postgres.execute(DATABASE, "show max_connections").unwrap(), "17");
    let socket = postgres.socket_folder().join(format!(".s.PGSQL.{}", postgres.addr().port()));
    assert!(socket.exists());

    let addr = postgres.addr();
    postgres.restart().unwrap();
    assert_eq!(postgres.addr(), addr);
    assert_eq!(postgres.execute(DATABASE, "show max_connections").unwrap(), "17");
}

#[test]
fn a_wrong_statement_is_shown_as_postgres_says_it() {
    let postgres = Postgres::start(&PostgresOptions::default()).unwrap();
    let error = postgres.execute(DATABASE, "select quantity from no_such_table").unwrap_err();
    let Error::Ended { log, .. } = &error else { panic!("{error}") };
    assert!(log.contains("\"no_such_table\" does not exist"), "{log}");
}

#[test]
fn nothing_is_left_when_it_is_dropped_even_after_a_crash() {
    for crash in [false, true] {
        let mut postgres = Postgres::start(&PostgresOptions::default()).unwrap();
        let folder = postgres.socket_folder().to_owned();
        let pid_file = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let segment = pid_file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned();
        assert!(segments().contains(&segment));
        if crash {
            postgres.kill_9().unwrap();
            assert!(segments().contains(&segment), "a killed server cannot clean up");
        }
        drop(postgres);
        assert!(!folder.exists());
        assert!(!segments().contains(&segment));
    }
}

/// The ids of the System V shared memory segments on this machine.
fn segments() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    table.lines().skip(1).filter_map(|row| row.split_whitespace().nth(1)).map(str::to_owned).collect()
}

/// Runs SQL in a session of its own; whether it succeeded.
fn psql(url: &str, sql: &str) -> bool {
    let bin = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let program = bin.map(|version| version.path().join("bin/psql")).find(|psql| psql.is_file());
    let output = Command::new(program.unwrap_or_else(|| "psql".into()))
        .args(["--no-psqlrc", "--quiet", "--dbname", url, "--command", sql])
        .output()
        .unwrap();
    output.status.success()
}
