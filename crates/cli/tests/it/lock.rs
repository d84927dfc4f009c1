//! `jaego lock`, as people use it: the binary beside a program that holds locks on a real Redis and PostgreSQL.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jaego_lock::{Guard, Locks, Lost, Outcome, Postgres, PostgresOptions, Redis, RedisOptions, Tls};
use jaego_testkit as testkit;
use tokio::time::timeout;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jaego");
const PATIENCE: Duration = Duration::from_secs(5);

/// What a command printed, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: i32,
}

/// Runs `jaego lock …` with an answer on its standard input.
async fn lock(server: &[&str], arguments: &str, answer: &str) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.arg("lock").args(server).args(arguments.split_whitespace()).env_clear();
    run(command, answer, Duration::ZERO).await
}

/// The answer comes so much later.
async fn run(mut command: Command, answer: &str, later: Duration) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let answer = answer.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        std::thread::sleep(later);
        // One that does not ask has ended before it could read the answer.
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap() }
    });
    ran.await.unwrap()
}

/// The words of a table's row.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The same on each server.
async fn locks_are_listed_shown_and_broken(server: &[&str], locks: &Locks) {
    let held = locks.lock("product:17").acquire().await.unwrap();
    let many: [Guard; 2] = [
        locks.mode("transfer:T-1", "allocate").acquire().await.unwrap(),
        locks.mode("transfer:T-1", "allocate").acquire().await.unwrap(),
    ];
    let cancel = tokio::spawn(locks.lock("transfer:T-1").wait(Duration::from_secs(60)).acquire());
    let queued = async {
        while locks.look("transfer:T-1").await.unwrap().waiters_count == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, queued).await.unwrap();

    let list = lock(server, "list", "").await;
    assert_eq!((list.code, list.err.as_str()), (0, ""));
    let lines: Vec<_> = list.out.lines().map(words).collect();
    assert_eq!(lines[0], ["LOCK", "MODE", "HELD", "BY", "FENCE", "ENDS", "IN", "WAITING"]);
    let fence = held.fence().to_string();
    assert_eq!(lines[1][..4], ["product:17", "exclusive", "till-3", &fence]);
    assert_eq!(lines[2][..4], ["transfer:T-1", "allocate", "2", "holders"]);
    assert_eq!(lines[2].last(), Some(&"1"));
    assert_eq!(lines.len(), 3);
    assert_eq!(lock(server, "list transfer:", "").await.out.lines().count(), 2);
    let some = lock(server, "list --limit 1", "").await;
    assert_eq!((some.code, some.out.lines().count()), (0, 2));
    assert!(some.err.contains("there are more"), "{}", some.err);

    let shown = lock(server, "show transfer:T-1", "").await;
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.starts_with("transfer:T-1 is held (allocate)\n"), "{}", shown.out);
    assert_eq!(shown.out.matches("till-3").count(), 3, "two holders and a waiter: {}", shown.out);
    let json: serde_json::Value =
        serde_json::from_str(&lock(server, "show transfer:T-1 --json", "").await.out).unwrap();
    assert_eq!(json["holders"][1]["fence"], many[1].fence());
    assert_eq!(json["waiters"][0]["mode"], "exclusive");
    assert!(json["holders"][0]["remaining_ms"].as_u64().is_some_and(|left| left <= 10_001), "{json}");

    // Asked, and not answered with yes.
    for answer in ["n\n", ""] {
        let kept = lock(server, "break product:17", answer).await;
        assert_eq!((kept.code, kept.out.as_str()), (3, ""), "{}", kept.err);
        let told = format!("product:17 is held by till-3 with the fence {fence} for another ");
        assert!(kept.err.starts_with(&told) && kept.err.contains("break it? [y/N]"), "{}", kept.err);
    }
    assert!(held.is_valid());
    let broken = lock(server, "break product:17", "y\n").await;
    assert_eq!(broken.code, 0, "{}", broken.err);
    let told = format!("product:17 is broken: till-3 held it with the fence {fence}\n");
    assert!(broken.out.starts_with(&told), "{}", broken.out);
    assert_eq!(timeout(PATIENCE, held.lost()).await.unwrap(), Lost::Broken);
    let next = locks.lock("product:17").acquire().await.unwrap();
    let greatest: u64 = words(&broken.out).last().unwrap().parse().unwrap();
    assert!(held.fence() < greatest && greatest < next.fence(), "{}", broken.out);
    assert!(matches!(held.release().await, Outcome::Broken));

    // One of two who share a lock, by its fence; and in a script.
    let arguments = format!("break transfer:T-1 --fence {} --yes --json", many[0].fence());
    let broken: serde_json::Value = serde_json::from_str(&lock(server, &arguments, "").await.out).unwrap();
    assert_eq!(broken["ended"][0]["fence"], many[0].fence());
    assert_eq!(broken["ended"].as_array().map(Vec::len), Some(1));
    assert_eq!(timeout(PATIENCE, many[0].lost()).await.unwrap(), Lost::Broken);
    assert!(many[1].is_valid());
    let gone = lock(server, &arguments, "").await;
    assert_eq!(gone.code, 3);
    assert!(gone.out.contains("\"code\":\"not_held\""), "{}", gone.out);
    drop(many);
    drop(timeout(PATIENCE, cancel).await.unwrap().unwrap().unwrap());
    assert!(next.release().await.was_held());

    let free = lock(server, "show product:17", "").await;
    assert_eq!((free.code, free.out.as_str()), (0, "nobody holds product:17\n"));
    let refused = lock(server, "break product:17 --yes", "").await;
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    assert!(
        refused.err.starts_with("jaego: refused: nobody holds product:17 (not_held)\n"),
        "{}",
        refused.err
    );
    assert_eq!(lock(server, "show a\tb", "").await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_on_redis_are_listed_shown_and_broken() {
    let redis = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let url = redis.url();
    let server = ["--redis", url.as_str()];

    // Before anybody has kept locks there. Looking does not decide how they will be laid out.
    let nothing = lock(&server, "list", "").await;
    assert_eq!(nothing.code, 0, "{}", nothing.err);
    assert_eq!(nothing.err, "no program has kept locks there under the prefix jaego\n");
    assert_eq!(lock(&server, "break product:17 --yes", "").await.code, 3);

    let options = RedisOptions::new(&url).unwrap().shards(7).unwrap();
    let options = options.quarantine(Duration::ZERO).process_name("till-3");
    locks_are_listed_shown_and_broken(&server, &Locks::new(Redis::start(options))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_on_postgres_are_listed_shown_and_broken() {
    let postgres = testkit::Postgres::start(&testkit::PostgresOptions::default()).unwrap();
    let url = postgres.url("postgres");
    let server = ["--postgres", url.as_str()];

    let missing = lock(&server, "list", "").await;
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert!(missing.err.contains("the schema jaego_lock is not there"), "{}", missing.err);

    let options = PostgresOptions::new(&url).unwrap().process_name("till-3");
    options.migrate().await.unwrap();
    locks_are_listed_shown_and_broken(&server, &Locks::new(Postgres::start(options))).await;
}

/// The server hangs up on whoever is silent for a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_broken_though_the_answer_takes_its_time() {
    let settings = vec![("timeout".to_owned(), "1".to_owned())];
    let redis = testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap();
    let options = RedisOptions::new(&redis.url()).unwrap().quarantine(Duration::ZERO);
    let locks = Locks::new(Redis::start(options));
    let held = locks.lock("a").lease(Duration::from_secs(20)).acquire().await.unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["lock", "--redis", &redis.url(), "break", "a"]).env_clear();
    let broken = run(command, "y\n", Duration::from_millis(3_500)).await;
    assert_eq!(broken.code, 0, "{}", broken.err);
    assert_eq!(timeout(PATIENCE, held.lost()).await.unwrap(), Lost::Broken);
}

#[tokio::test]
async fn a_server_must_be_named_and_there() {
    let nowhere = lock(&[], "list", "").await;
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("Say --redis URL or --postgres URL"), "{}", nowhere.err);
    assert_eq!(lock(&["--redis", "http://x"], "list", "").await.code, 2);
    let port = testkit::free_port().unwrap();
    for server in [["--redis", "redis"], ["--postgres", "postgres"]] {
        let [flag, scheme] = server;
        let url = format!("{scheme}://user:secret@127.0.0.1:{port}/");
        let silent = lock(&[flag, &url], "list", "").await;
        assert_eq!((silent.code, silent.out.as_str()), (4, ""), "{}", silent.err);
        assert!(silent.err.contains("try: look whether the server runs"), "{}", silent.err);
        assert!(!silent.err.contains("secret"), "{}", silent.err);
    }
}

/// Of each of them `a` is held by another process, which is how they are told apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_flag_beats_the_environment_wherever_it_stands() {
    let [redis, watched] =
        [(); 2].map(|()| testkit::Redis::start(&testkit::RedisOptions::default()).unwrap());
    let sentinel = testkit::RedisSentinel::start(watched.addr(), "stock").unwrap();
    let postgres = testkit::Postgres::start(&testkit::PostgresOptions::default()).unwrap();
    let (redis_url, sentinel) = (redis.url(), sentinel.addr().to_string());
    let postgres_url = postgres.url("postgres");
    let mut guards = Vec::new();
    for (server, name) in [(&redis, "on-redis"), (&watched, "on-watched")] {
        let options = RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO).process_name(name);
        guards.push(Locks::new(Redis::start(options)).lock("a").acquire().await.unwrap());
    }
    let options = PostgresOptions::new(&postgres_url).unwrap().process_name("on-postgres");
    options.migrate().await.unwrap();
    guards.push(Locks::new(Postgres::start(options)).lock("a").acquire().await.unwrap());

    let value = |word: &str| match word {
        "redis" => redis_url.clone(),
        "sentinel" => sentinel.clone(),
        "master" => "stock".to_owned(),
        _ => postgres_url.clone(),
    };
    for (environment, flags, told) in [
        ("redis", "", "on-redis"),
        ("sentinel master", "", "on-watched"),
        ("redis sentinel master", "", "on-watched"),
        ("postgres", "", "on-postgres"),
        ("redis", "postgres", "on-postgres"),
        ("sentinel master", "postgres", "on-postgres"),
        ("redis postgres", "postgres", "on-postgres"),
        ("postgres", "redis", "on-redis"),
        ("sentinel master", "redis", "on-redis"),
        ("redis sentinel master postgres", "redis", "on-redis"),
        ("postgres", "sentinel master", "on-watched"),
        ("sentinel redis", "master", "on-watched"),
        ("master postgres", "sentinel", "on-watched"),
        ("redis postgres", "", "either --redis or --postgres"),
        ("sentinel master postgres", "", "either --sentinel or --postgres"),
        ("", "redis postgres", "either --redis or --postgres"),
        ("", "sentinel master postgres", "either --sentinel or --postgres"),
        ("postgres", "redis postgres", "either --redis or --postgres"),
    ] {
        for behind in [false, true] {
            let mut command = Command::new(PROGRAM);
            command.env_clear().arg("lock");
            for word in environment.split_whitespace() {
                command.env(format!("JAEGO_LOCK_{}", word.to_uppercase()), value(word));
            }
            let mut given: Vec<String> = Vec::new();
            for word in flags.split_whitespace() {
                given.extend([format!("--{word}"), value(word)]);
            }
            let show = ["show", "a"].map(str::to_owned).to_vec();
            command.args(if behind { [show, given] } else { [given, show] }.concat());
            let shown = run(command, "", Duration::ZERO).await;
            let row = format!("environment {environment:?}, flags {flags:?}, behind {behind}");
            let (text, code) = if told.starts_with("on-") { (&shown.out, 0) } else { (&shown.err, 2) };
            assert!(shown.code == code && text.contains(told), "{row}: {}{}", shown.out, shown.err);
        }
    }
}

/// The path of a file, as a flag takes it.
fn flag(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the file of an authority says, for a program.
fn trusted(ca: &testkit::Ca) -> Tls {
    Tls::trusting(&fs::read(ca.path()).unwrap()).unwrap()
}

/// A Redis that speaks TLS at that port as well, and asks clients for their certificate or not.
fn redis_with_tls(ca: &testkit::Ca, asks: &str) -> (testkit::Redis, u16) {
    let files = ca.issue("redis", &["127.0.0.1"], testkit::Validity::Now).unwrap();
    let (settings, port) = tls_settings(ca, &files, asks);
    (testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap(), port)
}

/// What has a server or a sentinel speak TLS at a port beside its plain one.
fn tls_settings(
    ca: &testkit::Ca,
    files: &testkit::CertificateFiles,
    asks: &str,
) -> (Vec<(String, String)>, u16) {
    let (port, ca) = (testkit::free_port().unwrap(), ca.path());
    let set = [
        ("tls-cert-file", flag(&files.certificate)),
        ("tls-key-file", flag(&files.key)),
        ("tls-ca-cert-file", flag(&ca)),
        ("tls-auth-clients", asks),
        ("tls-port", &port.to_string()),
    ];
    (set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_advice_fits_what_is_wrong_with_the_certificate() {
    use testkit::Validity::{Expired, NotYet, Now};
    let ca = testkit::Ca::new().unwrap();
    for (name, validity, advice) in [
        ("127.0.0.1", Expired, "try: a new certificate for the server"),
        ("127.0.0.1", NotYet, "try: the clock of this machine"),
        ("redis.example", Now, "try: the name or address that stands in the server's certificate"),
    ] {
        let files = ca.issue("redis", &[name], validity).unwrap();
        let (settings, port) = tls_settings(&ca, &files, "no");
        let _redis =
            testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap();
        let (url, file) = (format!("rediss://127.0.0.1:{port}/"), ca.path());
        let refused = lock(&["--redis", &url, "--ca", flag(&file)], "list", "").await;
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
        assert!(refused.err.contains(advice) && !refused.err.contains("--ca FILE"), "{}", refused.err);
    }
}

/// The server does not speak TLS, and its sentinel does: so there is somebody to hold an authority against.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_may_be_that_of_a_sentinel() {
    let ca = testkit::Ca::new().unwrap();
    let redis = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let files = ca.issue("sentinel", &["127.0.0.1"], testkit::Validity::Now).unwrap();
    let (settings, port) = tls_settings(&ca, &files, "no");
    let _sentinel = testkit::RedisSentinel::start_with(redis.addr(), "stock", 0, &settings).unwrap();
    let (sentinel, file) = (format!("rediss://127.0.0.1:{port}/"), ca.path());
    let through = ["--sentinel", &sentinel, "--master", "stock"];
    let known = lock(&[&through[..], &["--ca", flag(&file)]].concat(), "list", "").await;
    assert_eq!(
        (known.code, known.err.as_str()),
        (0, "no program has kept locks there under the prefix jaego\n")
    );
    let unknown = lock(&through, "list", "").await;
    assert_eq!(unknown.code, 1, "{}", unknown.err);
    assert!(unknown.err.contains("try: --ca FILE"), "{}", unknown.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_on_redis_are_seen_by_tls() {
    let [ours, other] = [(); 2].map(|()| testkit::Ca::new().unwrap());
    let (_redis, port) = redis_with_tls(&ours, "no");
    let url = format!("rediss://127.0.0.1:{port}/");
    let options = RedisOptions::new(&url).unwrap().tls(&trusted(&ours)).unwrap();
    let locks = Locks::new(Redis::start(options.quarantine(Duration::ZERO).process_name("till-3")));
    let (ca, stranger) = (ours.path(), other.path());
    locks_are_listed_shown_and_broken(&["--redis", &url, "--ca", flag(&ca)], &locks).await;

    // A sentinel that speaks plainly names the port. It takes a server for dead that it cannot speak to, and names it still.
    let sentinel = testkit::RedisSentinel::start(([127, 0, 0, 1], port).into(), "stock").unwrap();
    let addr = sentinel.addr().to_string();
    let through =
        ["--sentinel", &addr, "--master", "stock", "--redis", "rediss://h.invalid/", "--ca", flag(&ca)];
    let shown = lock(&through, "show product:17", "").await;
    assert_eq!((shown.code, shown.out.as_str()), (0, "nobody holds product:17\n"), "{}", shown.err);

    for server in [&["--redis", &url][..], &["--redis", &url, "--ca", flag(&stranger)]] {
        let refused = lock(server, "list", "").await;
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
        assert!(
            refused.err.contains("invalid peer certificate") && refused.err.contains("try: --ca FILE"),
            "{}",
            refused.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_asks_for_a_certificate_gets_it() {
    let ca = testkit::Ca::new().unwrap();
    let (_redis, port) = redis_with_tls(&ca, "yes");
    let url = format!("rediss://127.0.0.1:{port}/");
    let own = ca.issue("till", &["till-3"], testkit::Validity::Now).unwrap();
    let file = ca.path();
    let server = ["--redis", &url, "--ca", flag(&file)];
    let shown = [&server[..], &["--tls-cert", flag(&own.certificate), "--tls-key", flag(&own.key)]].concat();
    let known = lock(&shown, "list", "").await;
    assert_eq!(
        (known.code, known.err.as_str()),
        (0, "no program has kept locks there under the prefix jaego\n")
    );
    let nobody = lock(&server, "list", "").await;
    assert_eq!((nobody.code, nobody.out.as_str()), (4, ""), "{}", nobody.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_on_postgres_are_seen_by_tls() {
    let [ours, other] = [(); 2].map(|()| testkit::Ca::new().unwrap());
    let postgres = testkit::Postgres::start(&testkit::PostgresOptions::default()).unwrap();
    let local = |sql: &str| postgres.execute("postgres", sql).unwrap();
    let folder = local("SHOW data_directory");
    let folder = Path::new(folder.trim());
    let owner = fs::metadata(folder).unwrap();
    let files = ours.issue("postgres", &["127.0.0.1"], testkit::Validity::Now).unwrap();
    let [certificate, key] = [&files.certificate, &files.key].map(|file| fs::read_to_string(file).unwrap());
    let allowed = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n".to_owned();
    for (name, text) in [("server.crt", certificate), ("server.key", key), ("pg_hba.conf", allowed)] {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    local("ALTER SYSTEM SET ssl = on");
    local("SELECT pg_reload_conf()");
    let on = || (local("SHOW ssl").trim() == "on").then_some(());
    testkit::wait_until("the server takes up its certificate", PATIENCE * 4, on).unwrap();

    let url = postgres.url("postgres");
    let options = PostgresOptions::new(&url).unwrap().tls(&trusted(&ours)).unwrap().process_name("till-3");
    options.migrate().await.unwrap();
    let (ca, stranger) = (ours.path(), other.path());
    let locks = Locks::new(Postgres::start(options));
    locks_are_listed_shown_and_broken(&["--postgres", &url, "--ca", flag(&ca)], &locks).await;

    let refused = lock(&["--postgres", &url, "--ca", flag(&stranger)], "list", "").await;
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
    assert!(
        refused.err.contains("invalid peer certificate") && refused.err.contains("try: --ca FILE"),
        "{}",
        refused.err
    );
    // The server takes encrypted connections only.
    let plain = lock(&["--postgres", &url], "list", "").await;
    assert_eq!(plain.code, 1, "{}", plain.err);
    assert!(plain.err.contains("no encryption"), "{}", plain.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_found_through_sentinels() {
    let [old, new] = [(); 2].map(|()| testkit::Redis::start(&testkit::RedisOptions::default()).unwrap());
    // One that was cut off, one that knows better, and one that is silent.
    let stale = testkit::RedisSentinel::start(old.addr(), "stock").unwrap();
    let fresh = testkit::RedisSentinel::start_at(new.addr(), "stock", 1).unwrap();
    let mut silent = testkit::RedisSentinel::start(old.addr(), "stock").unwrap();
    silent.stop().unwrap();
    let options = RedisOptions::new(&new.url()).unwrap().quarantine(Duration::ZERO).process_name("till-3");
    let locks = Locks::new(Redis::start(options));

    let answering = format!("redis://{},{}", stale.addr(), fresh.addr());
    locks_are_listed_shown_and_broken(&["--sentinel", &answering, "--master", "stock"], &locks).await;
    let all = format!("{},{answering}", silent.addr());
    let guard = locks.lock("product:17").acquire().await.unwrap();
    let list = lock(&["--sentinel", &all, "--master", "stock"], "list", "").await;
    assert!(list.code == 0 && list.out.contains(&guard.fence().to_string()), "{}{}", list.out, list.err);
    assert!(guard.release().await.was_held());
    let one = fresh.addr().to_string();
    let from_url = ["--redis", "redis://h.invalid/0", "--sentinel", &one, "--master", "stock"];
    assert_eq!(lock(&from_url, "show product:17", "").await.out, "nobody holds product:17\n");

    let other = lock(&["--sentinel", &one, "--master", "other"], "list", "").await;
    assert_eq!((other.code, other.out.as_str()), (4, ""), "{}", other.err);
    assert!(other.err.contains("no sentinel knows a master of this name"), "{}", other.err);
}

#[tokio::test]
async fn options_that_do_not_fit_are_told() {
    let ca = testkit::Ca::new().unwrap();
    let (authority, nowhere) = (ca.path(), ca.path().with_file_name("nothing.pem"));
    let own = ca.issue("till", &["till-3"], testkit::Validity::Now).unwrap();
    let other = ca.issue("other", &["till-4"], testkit::Validity::Now).unwrap();
    let rediss = ["--redis", "rediss://127.0.0.1:1/"];
    for (options, code, told) in [
        (&["--sentinel", "127.0.0.1:1"][..], 2, "Say --master NAME"),
        (&["--master", "stock"], 2, "Say --sentinel HOST:PORT"),
        (
            &["--sentinel", "h:1", "--master", "stock", "--postgres", "postgres://h/d"],
            2,
            "either --sentinel or --postgres",
        ),
        (&["--sentinel", "http://h", "--master", "stock"], 2, "cannot use http://h as the address"),
        (&["--redis", "rediss://h/#insecure"], 2, "whose server may be anybody"),
        (&["--redis", "redis://h/", "--ca", flag(&authority)], 2, "begin with rediss://"),
        (&[&rediss[..], &["--ca", flag(&nowhere)]].concat(), 1, "cannot read"),
        (&[&rediss[..], &["--ca", flag(&own.key)]].concat(), 2, "cannot read certificates"),
        (&[&rediss[..], &["--tls-cert", flag(&own.certificate)]].concat(), 2, "Say --tls-key FILE"),
        (&[&rediss[..], &["--tls-key", flag(&own.key)]].concat(), 2, "Say --tls-cert FILE"),
        (
            &[&rediss[..], &["--tls-cert", flag(&own.certificate), "--tls-key", flag(&other.key)]].concat(),
            2,
            "cannot use our certificate with our private key",
        ),
    ] {
        let refused = lock(options, "list", "").await;
        assert_eq!((refused.code, refused.out.as_str()), (code, ""), "{options:?}: {}", refused.err);
        assert!(refused.err.contains(told), "{options:?}: {}", refused.err);
    }
}
