//! The binary, as people use it: a real server in a folder of its own, and the commands that speak to it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use jaego_testkit::{Ready, Server, ServerOptions, free_port};
use serde_json::Value;
use tempfile::TempDir;

mod folders;
mod money;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jaego");
const WAIT: Duration = Duration::from_secs(30);

/// A server, and whoever types commands beside it.
struct House {
    server: Option<Server>,
    addr: SocketAddr,
    token: String,
    folder: TempDir,
}

/// What a command printed, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: i32,
}

impl House {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let (server, addr) = serve(&data);
        let token = server.wait_line("admin token: ", WAIT).unwrap();
        Self { server: Some(server), addr, token, folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn run(&self, arguments: &str) -> Ran {
        self.run_words(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    fn run_words(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().env("HOME", self.folder.path()).stdin(Stdio::null());
        command.env("JAEGO_URL", format!("http://{}", self.addr)).env("JAEGO_TOKEN", &self.token);
        ran(command)
    }

    /// Runs a command that must succeed, and gives what it printed without times and numbers of events.
    fn done(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments}: {}{}", ran.out, ran.err);
        timeless(&ran.out)
    }

    /// A site with two bins, two SKUs and some stock.
    fn furnished() -> Self {
        let house = Self::start();
        for line in [
            "site set ICN --time-zone Asia/Seoul",
            "site set GMP --time-zone Asia/Seoul",
            "location set ICN A-01 --pick-order 1",
            "location set ICN A-02 --pick-order 2",
            "location set ICN OUT --kind staging",
            "location set ICN BAD --kind quarantine",
            "location set GMP IN --kind receiving",
            "location set GMP BAD --kind quarantine",
            "sku set mug --safety-stock ICN=5",
            "sku set cup",
            "stock adjust S1 --site ICN --account opening mug@A-01=8 cup@A-02=3",
        ] {
            house.done(line);
        }
        house
    }
}

fn serve(data: &Path) -> (Server, SocketAddr) {
    let addr: SocketAddr = free_port().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    let args =
        ["serve", "--data", &data.display().to_string(), "--listen", &addr.to_string(), "--log", "warn"];
    let server = Server::start(ServerOptions {
        program: PROGRAM.into(),
        args: args.iter().map(Into::into).collect(),
        env: Vec::new(),
        // `/healthz` answers already while the store is opened.
        ready: Some(Ready::Line("listening on ".into())),
    });
    (server.unwrap(), addr)
}

fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap() }
}

/// The output without what differs from run to run, times, and without the numbers of events.
fn timeless(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        for index in 0..words.len() {
            let word = words[index];
            if word.len() > 18 && word.starts_with("20") && word.contains('T') && word.ends_with('Z') {
                words[index] = "TIME";
            }
            if index > 0 && words[index - 1] == "(event" {
                words[index] = if word.ends_with(',') { "N," } else { "N)" };
            }
        }
        lines.push(words.join(" "));
    }
    lines.join("\n") + "\n"
}

#[test]
fn master_data_is_set_listed_and_shown() {
    let house = House::start();
    assert_eq!(
        timeless(
            &house.run_words(&["site", "set", "ICN", "--name", "인천", "--time-zone", "Asia/Seoul"]).out
        ),
        "site ICN is set (event N)\n"
    );
    assert_eq!(
        house.done("site list"),
        "SITE  NAME  TIME ZONE   STRATEGY  ORDER ALLOCATION\nICN   인천  Asia/Seoul  fefo      on_arrival\n"
    );
    assert_eq!(
        house.done("location set ICN A-01 --zone A --pick-order 7"),
        "location A-01 of ICN is set (event N)\n"
    );
    assert_eq!(
        house.done("location show ICN A-01"),
        "SITE  LOCATION  KIND     ZONE  PICK ORDER\nICN   A-01      storage  A              7\n"
    );
    assert_eq!(
        house.done("sku set milk --tracking lot --safety-stock ICN=20"),
        "SKU milk is set (event N)\n"
    );
    assert_eq!(house.done("sku list"), "SKU   TRACKING  SAFETY STOCK\nmilk  lot       ICN=20\n");
    assert_eq!(house.done("lot set milk L1 --expires-on 2030-01-31"), "lot L1 of milk is set (event N)\n");
    assert_eq!(house.done("lot list milk"), "SKU   LOT  EXPIRES     INSIDE\nmilk  L1   2030-01-31       0\n");
    // What is not named stays: a recall forgets no last day, and another strategy no time zone.
    assert_eq!(house.done("lot block milk L1"), "lot L1 of milk is set (event N)\n");
    house.done("lot set milk L1 --received-on 2030-01-01");
    assert_eq!(
        house.done("lot list milk"),
        "SKU   LOT  RECEIVED    EXPIRES     BLOCKED  INSIDE\n\
         milk  L1   2030-01-01  2030-01-31  blocked       0\n"
    );
    house.done("lot unblock milk L1");
    assert_eq!(house.run("lot block milk L2").code, 3, "a misspelt lot is not made");
    house.done("site set ICN --strategy fifo");
    assert_eq!(
        house.done("site list"),
        "SITE  NAME  TIME ZONE   STRATEGY  ORDER ALLOCATION\nICN   인천  Asia/Seoul  fifo      on_arrival\n"
    );
    assert_eq!(house.run("site set ICN --strategy explicit").code, 3);
    house.done("location set ICN A-01 --pick-order 8");
    assert_eq!(
        house.done("location show ICN A-01"),
        "SITE  LOCATION  KIND     ZONE  PICK ORDER\nICN   A-01      storage  A              8\n"
    );
    house.done("sku set milk --name explicit");
    house.done("sku set milk --price KRW=900");
    assert_eq!(
        house.done("sku list"),
        "SKU   NAME      TRACKING  SAFETY STOCK  PRICES\nmilk  explicit  lot       ICN=20        KRW=900\n"
    );
    house.done("stock adjust S1 --site ICN milk/L1@A-01=+5");
    assert_eq!(
        house.done("lot trace milk L1"),
        "SKU   LOT  RECEIVED    EXPIRES     INSIDE\nmilk  L1   2030-01-01  2030-01-31       5\n\
         SITE  LOCATION  LOT  ON HAND  HELD  AVAILABLE  VERDICT\n\
         ICN   A-01      L1         5     0          5  available\n\
         customers have 0 of it: `jaego stock movements --sku milk --lot L1` names the documents\n"
    );
}

#[test]
fn stock_is_told_as_it_was_and_how_it_came_to_be_what_it_is() {
    let house = House::furnished();
    let movements = house.run("stock movements --sku mug").out;
    let at = movements.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)).unwrap();
    house.done("stock adjust S2 --site ICN mug@A-01=-3 --reason broken");
    house.done("stock move M1 --site ICN mug@A-01=2 --to A-02");
    assert_eq!(
        house.done(&format!("stock list --sku mug --as-of {at}")),
        "SITE  LOCATION  SKU  ON HAND\nICN   A-01      mug        8\n"
    );
    let points = house.done("sku history mug --site ICN");
    let points: Vec<String> = points
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            if words[0] == "TIME" {
                words.remove(1);
            }
            words.join(" ")
        })
        .collect();
    assert_eq!(
        points,
        [
            "AT EVENT CHANGE ON HAND DOCUMENT BY REASON",
            "TIME +8 8 adjustment S1 admin adjusted",
            "TIME -3 5 adjustment S2 admin broken",
        ],
        "a bin move changes no balance"
    );
    assert_eq!(house.done("sku history mug --site GMP").lines().count(), 1, "GMP never had any");
    let refused = house.run("stock list --as-of 2999-01-01T00:00:00Z");
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("as_of is in the future"), "{}", refused.err);
    assert!(house.run("stock list --as-of tomorrow").err.contains("as_of is not an instant"));
}

#[test]
fn stock_is_adjusted_counted_moved_and_taken_back() {
    let house = House::furnished();
    assert_eq!(
        house.done("stock list"),
        "SITE  LOCATION  SKU  ON HAND  HELD  UNAVAILABLE  AVAILABLE\n\
         ICN   A-01      mug        8     0            0          8\n\
         ICN   A-02      cup        3     0            0          3\n"
    );
    assert_eq!(house.done("stock count C1 --site ICN mug@A-01=7"), "stock is counted by C1 (event N)\n");
    assert_eq!(
        house.done("stock move M1 --site ICN mug@A-01=3 --to A-02"),
        "stock is moved by M1 (event N)\n"
    );
    let movements = house.done("stock movements --sku mug");
    let movements: Vec<Vec<&str>> =
        movements.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let told: Vec<_> = movements.iter().map(|words| words[1..].join(" ")).collect();
    assert_eq!(
        told,
        [
            "TIME mug 8 opening ICN A-01 adjustment S1 admin adjusted",
            "TIME mug 1 ICN A-01 loss adjustment C1 admin counted",
            "TIME mug 3 ICN A-01 ICN A-02 move M1 admin moved",
        ]
    );
    let last = movements[2][0];
    assert_eq!(
        house.done(&format!("stock reverse {last}")),
        format!("movement {last} is reversed (event N)\n")
    );
    assert_eq!(
        house.done("stock totals mug"),
        "SITE  ON HAND  HELD  UNAVAILABLE  AVAILABLE  SAFETY\nICN         7     0            0          7       5\n"
    );
    let refused = house.run("stock adjust S2 --site ICN mug@A-01=-9");
    assert_eq!(refused.code, 3, "{}", refused.err);
}

#[test]
fn an_adjustment_releases_the_holds_of_those_that_it_names() {
    let house = House::furnished();
    house.done("hold place H1 --site ICN mug=3");
    house.done("order place O2 --site ICN mug=4");
    let refused = house.run("stock count C1 --site ICN mug@A-01=5 --release hold:H9,transfer:T1");
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    assert_eq!(
        refused.err,
        "jaego: refused: 2 of mug at ICN A-01 would have to be released, and those who were named have 0 (held_by_others)\n\
         holders:\n\
         HELD BY  ID  LINE  QUANTITY\n\
         hold     H1  1            3\n\
         order    O2  1            4\n\
         try: name those as well with --release, adjust by less, or say --release-holds to cut anybody's\n"
    );
    assert_eq!(
        house.done("stock count C1 --site ICN mug@A-01=5 --release hold:H9,order:O2"),
        "stock is counted by C1 (event N)\n\
         holders:\n\
         HELD BY  ID  LINE  QUANTITY\n\
         order    O2  1            2\n"
    );
    assert_eq!(
        house.done("stock adjust A1 --site ICN mug@A-01=-4 --release order:O2 --release hold:H1"),
        "stock is adjusted by A1 (event N)\n\
         holders:\n\
         HELD BY  ID  LINE  QUANTITY\n\
         hold     H1  1            3\n\
         order    O2  1            1\n"
    );
    for wrong in ["hold", "wallet:W1", ":H1"] {
        let ran = house.run(&format!("stock count C2 --site ICN mug@A-01=1 --release {wrong}"));
        assert_eq!(ran.code, 2, "{wrong}: {}{}", ran.out, ran.err);
    }
    let both = house.run("stock count C2 --site ICN mug@A-01=1 --release hold:H1 --release-holds");
    assert_eq!(both.code, 2, "{}{}", both.out, both.err);
}

#[test]
fn holds_are_placed_once_and_refused_with_their_numbers() {
    let house = House::furnished();
    let placed = house.done("hold place H1 --site ICN mug=4 cup=2 --expires 10m");
    assert_eq!(
        placed,
        "hold H1 stands until TIME (event N)\n\
         LINE  SKU  SITE  LOCATION  QUANTITY\n\
         1     mug  ICN   A-01             4\n\
         2     cup  ICN   A-02             2\n"
    );
    let again = house.done("hold place H1 --site ICN mug=4 cup=2 --expires 10m");
    assert!(
        again.starts_with("hold H1 stands until TIME (event N, and was before: nothing new happened)\n"),
        "{again}"
    );
    let refused = house.run("hold place H2 --site ICN mug=7");
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    assert_eq!(
        refused.err,
        "jaego: refused: line 1 asks for 7 of mug at ICN, and 4 are available (insufficient_stock)\n\
         short:\n\
         LINE  SKU  SITE  REQUESTED  AVAILABLE\n\
         1     mug  ICN           7          4\n\
         try: ask for less, or say --partial allow to take what there is; `jaego stock list --sku SKU` shows where it lies\n"
    );
    let problem = house.run("hold place H2 --site ICN mug=7 --json");
    assert_eq!(problem.code, 3);
    let problem: Value = serde_json::from_str(&problem.out).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&"insufficient_stock".into(), &409.into()));
    assert_eq!(house.done("hold extend H1 1h"), "hold H1 stands until TIME (event N)\n");
    assert_eq!(house.done("hold confirm H1 1=3"), "hold H1 is confirmed (event N)\n");
    assert_eq!(
        house.done("hold show H1"),
        "hold    H1\nstatus  held\nuntil   TIME\n\
         LINE  SITE  SKU  QUANTITY  HELD  LOCATION\n\
         1     ICN   mug         4     1  A-01\n\
         2     ICN   cup         2     2  A-02\n"
    );
    house.done("hold change H1 --site ICN mug=2");
    assert_eq!(house.done("hold release H1 --key K1"), "hold H1 is released (event N)\n");
    assert_eq!(
        house.done("hold release H1 --key K1"),
        "hold H1 is released (event N, and was before: nothing new happened)\n"
    );
}

#[test]
fn a_transfer_goes_its_whole_way() {
    let house = House::furnished();
    assert_eq!(
        house.done("transfer request T1 --from ICN --to GMP mug=6 cup=5"),
        "transfer T1 with 2 lines is requested (event N)\n"
    );
    let dry = house.done("transfer allocate T1 --dry-run");
    assert!(dry.starts_with("transfer T1 would get this; nothing was changed\n"), "{dry}");
    assert_eq!(
        house.done("transfer allocate T1"),
        "transfer T1 is partially allocated (event N)\n\
         LINE  SKU  SITE  LOCATION  QUANTITY\n\
         1     mug  ICN   A-01             6\n\
         2     cup  ICN   A-02             3\n\
         short:\n\
         LINE  SKU  SITE  REQUESTED  AVAILABLE\n\
         2     cup  ICN           5          3\n"
    );
    let explained = house.done("transfer explain T1");
    assert!(explained.contains("2 still open, 0 available"), "{explained}");
    house.done("transfer pick T1 1=6 2=2,damaged=1");
    house.done("transfer unpick T1 1=1");
    house.done("transfer pick T1 1=1");
    house.done("transfer ship T1 S1");
    house.done("transfer receive T1 1=5,damaged=1 2=1");
    house.done("transfer close T1");
    let shown = house.done("transfer show T1");
    assert!(shown.contains("status     closed\n"), "{shown}");
    let list = house.done("transfer list --json");
    let list: Value = serde_json::from_str(&list).unwrap();
    let totals = &list["items"][0]["totals"];
    assert_eq!(
        ["requested", "shipped", "received", "damaged", "lost", "closed_short"]
            .map(|name| totals[name].as_u64().unwrap()),
        [11, 8, 6, 1, 1, 3]
    );
    house.done("transfer request T2 --from ICN --to GMP mug=1");
    house.done("transfer allocate T2");
    let refused = house.run("transfer cancel T2");
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("try: say --release"), "{}", refused.err);
    house.done("transfer cancel T2 --release");
}

#[test]
fn events_status_and_tokens_tell_what_there_is() {
    let house = House::furnished();
    let events = house.done("events --kind sku_set");
    assert_eq!(events.lines().count(), 2, "{events}");
    assert!(house.done("status").starts_with("state       ready\n"));
    let data = house.data().display().to_string();
    let made = house.run(&format!("token create kim --role reader --rate 500 --data {data}"));
    assert!(made.out.starts_with("jaego_"), "{}", made.err);
    let list = house.done(&format!("token list --data {data} --json"));
    let list: Value = serde_json::from_str(&list).unwrap();
    // Tokens of the same second stand in the order of their ids.
    let kim =
        list["items"].as_array().unwrap().iter().find(|token| token["name"] == "kim").expect("it is listed");
    assert_eq!(kim["role"], "reader");
    assert_eq!(kim["rate"], serde_json::json!({"per_s": 500, "burst": 500}));
    assert!(house.done(&format!("token list --data {data}")).contains("500/s, 500 at once"));
    let id = kim["id"].as_str().unwrap().to_owned();
    // The running server sees a new token by itself.
    let token_file = house.file("kim.token", &made.out);
    let seen = jaego_testkit::wait_until("the token is known", WAIT, || {
        (house.run(&format!("site list --token-file {token_file}")).code == 0).then_some(())
    });
    seen.unwrap();
    assert_eq!(house.run(&format!("site set GMP --token-file {token_file}")).code, 3);
    house.done(&format!("token revoke {id} --data {data}"));
    let gone = jaego_testkit::wait_until("the token is unknown", WAIT, || {
        (house.run(&format!("site list --token-file {token_file}")).code == 3).then_some(())
    });
    gone.unwrap();
}

#[test]
fn exit_codes_are_those_that_are_documented() {
    let house = House::start();
    assert_eq!(house.run("help exit-codes").code, 0);
    assert_eq!(house.run("hold place").code, 2);
    assert_eq!(house.run("stock adjust A1 mug@A-01=1").code, 2);
    // What would only come back as a field of the API is told as it is typed.
    for (line, told) in [
        ("hold place H1 --site ICN mug", "how much of mug? Say mug=QUANTITY"),
        ("stock adjust A1 --site ICN mug=+5", "where is mug? Say mug@LOCATION=5"),
        ("stock count C1 --site ICN mug@A-01", "how much of mug? Say mug@A-01=QUANTITY"),
        ("transfer request T1 --from ICN --to GMP mug", "how much of mug? Say mug=QUANTITY"),
        ("order place O1 --site ICN mug", "how much of mug? Say mug=QUANTITY"),
        ("sku set mug --price KRW=1 --price KRW=2", "--price KRW is said twice, 1 and 2"),
        ("sku set mug --safety-stock ICN=1 --safety-stock ICN=2", "--safety-stock ICN is said twice"),
        ("audit show --kind nix", "the kinds are opened, cut, suppressed, denied,"),
        ("serve --log nonsense=zz", "cannot understand the log filter \"nonsense=zz\""),
    ] {
        let ran = house.run(line);
        assert_eq!((ran.code, &*ran.out), (2, ""), "{line}: {}", ran.err);
        assert!(ran.err.contains(told), "{line}: {}", ran.err);
    }
    assert_eq!(house.run("site show NOWHERE").code, 3);
    assert_eq!(house.run("site list --url http://127.0.0.1:1").code, 4);
    assert_eq!(house.run("verify --data /dev/null/none").code, 1);
    // A file of settings is the last to be asked.
    let config = house.file("config.toml", "url = \"http://127.0.0.1:1\"\n");
    assert_eq!(house.run(&format!("site list --config {config}")).code, 0);
    let bad = house.file("bad.toml", "adress = \"x\"\n");
    assert_eq!(house.run(&format!("site list --config {bad}")).code, 2);
}

#[test]
fn a_file_is_loaded_whole_or_not_at_all() {
    let house = House::furnished();
    let head = "site,location,sku,quantity\n";
    let bad = house.file("bad.csv", &format!("{head}ICN,A-01,mug,four\nICN,A-01,cup,2\nICN,,cup,2\n"));
    let ran = house.run(&format!("import stock {bad}"));
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err,
        format!(
            "{bad}:2: quantity: \"four\" is not a whole number\n{bad}:4: location is empty\n\
             jaego: nothing was loaded; with --skip-bad the lines that are right are\n"
        )
    );
    let refused =
        house.file("refused.csv", &format!("{head}ICN,A-02,mug,4\nICN,Z-99,cup,2\nICN,A-01,pot,2\n"));
    let ran = house.run(&format!("import stock {refused}"));
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            3,
            "stock: 0 loaded, 2 refused; nothing was changed, and with --skip-bad the other lines are loaded\n"
        )
    );
    let lines: Vec<_> = ran.err.lines().collect();
    let told = [
        format!("{refused}:3: site ICN has no location Z-99 (location_not_found)"),
        format!("{refused}:4: there is no SKU pot (sku_not_found)"),
    ];
    assert_eq!(lines, told);
    assert!(!house.done("stock list --location A-02 --sku mug --site ICN").contains("mug"));

    let ran = house.run(&format!("import stock {refused} --skip-bad"));
    assert_eq!((ran.code, ran.out.as_str()), (3, "stock: 1 loaded, 2 refused\n"));
    let right = house.file("right.csv", &format!("{head}ICN,A-02,mug,4\n"));
    assert_eq!(house.done(&format!("import stock {right}")), "stock: 0 loaded, 1 were there before\n");
    let changed = house.file("changed.csv", &format!("{head}ICN,A-02,mug,5\n"));
    assert!(house.run(&format!("import stock {changed}")).err.contains("(id_taken)"));
    assert_eq!(house.done(&format!("import stock {changed} --load second")), "stock: 1 loaded\n");
    assert!(house.done("stock list --sku mug --location A-02 --site ICN").contains("       9 "));
}

#[test]
fn what_the_service_would_refuse_of_a_wrong_file_is_told_with_all_else() {
    let mut house = House::furnished();
    let text = "id,site,sku,quantity\nO1,ICN,mug,1\nO1,ICN,pot,1\nO2,ICN,mug,0\nO3,ICN,mug,1\nO4,NOW,mug,1\n";
    let file = house.file("wrong.csv", text);
    let ran = house.run(&format!("import orders {file}"));
    let expected = format!(
        "{file}:4: quantity is zero\n{file}:3: there is no SKU pot (sku_not_found)\n\
         {file}:6: there is no site NOW (site_not_found)\n\
         jaego: nothing was loaded; with --skip-bad the lines that are right are\n"
    );
    assert_eq!((ran.code, &*ran.err, &*ran.out), (1, &*expected, ""));
    assert_eq!(house.run("order show O3").code, 3, "it was not placed");
    let ran = house.run(&format!("import orders {file} --json"));
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (ran.code, &told["refused"][0]["line"], &told["refused"][1]["line"]),
        (1, &3.into(), &6.into())
    );
    assert_eq!((&told["loaded"], &told["bad"][0]["line"]), (&0.into(), &4.into()));

    house.server.take();
    let ran = house.run(&format!("import orders {file}"));
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(
        (ran.code, lines.len(), lines[0]),
        (1, 3, &*format!("{file}:4: quantity is zero")),
        "{}",
        ran.err
    );
    assert!(lines[1].starts_with("jaego: what the service would refuse is not known: "), "{}", ran.err);
}

#[test]
fn every_line_of_a_document_that_the_service_would_refuse_is_told_in_one_run() {
    let house = House::furnished();
    let text = "id,site,sku,lot,quantity\nO1,ICN,mug,,1\nO1,ICN,pot,,1\nO1,ICN,mug,L1,1\nO1,ICN,jug,,1\nO1,ICN,cup,,4\n\
                O2,ICN,mug,,1\nO3,ICN,mug,,99\nO3,ICN,cup,,1\nO3,ICN,cup,,99\nO4,NOW,mug,,1\nO4,NOW,pot,,1\n";
    let file = house.file("orders.csv", text);
    let told = format!(
        "{file}:3: there is no SKU pot (sku_not_found)\n\
         {file}:4: SKU mug is not tracked by lot (lot_not_tracked)\n\
         {file}:5: there is no SKU jug (sku_not_found)\n\
         {file}:6: line 5 asks for 4 of cup at ICN, and 3 are available (insufficient_stock)\n\
         {file}:8: line 1 asks for 99 of mug at ICN, and 7 are available (insufficient_stock)\n\
         {file}:10: line 3 asks for 99 of cup at ICN, and 2 are available (insufficient_stock)\n\
         {file}:11: there is no site NOW (site_not_found)\n"
    );
    let ran = house.run(&format!("import orders {file}"));
    let counted =
        "orders: 0 loaded, 3 refused; nothing was changed, and with --skip-bad the other lines are loaded\n";
    assert_eq!((ran.code, &*ran.err, &*ran.out), (3, &*told, counted));
    assert_eq!(house.run("order show O2").code, 3, "it was not placed");
    let ran = house.run(&format!("import orders {file} --skip-bad --json"));
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let refused = answer["refused"].as_array().unwrap().iter();
    let refused: Vec<_> =
        refused.map(|one| (one["line"].as_u64().unwrap(), one["problem"]["field"].as_str())).collect();
    let fields = ["lines[1].sku", "lines[2].lot", "lines[3].sku"].map(Some);
    assert_eq!(refused[..3], [(3, fields[0]), (4, fields[1]), (5, fields[2])]);
    assert_eq!((refused.len(), ran.code, &answer["loaded"]), (7, 3, &1.into()), "{answer}");

    // A document that is one line of its file names its own.
    let text = r#"{"id":"T1","from":"ICN","to":"GMP","lines":[{"line":"a","sku":"mug","quantity":1},{"line":"b","sku":"pot","quantity":1},{"line":"c","sku":"jug","quantity":1}]}"#;
    let file = house.file("transfers.jsonl", text);
    let ran = house.run(&format!("import transfers {file}"));
    let told = format!(
        "{file}:1: lines[1].sku: there is no SKU pot (sku_not_found)\n\
         {file}:1: lines[2].sku: there is no SKU jug (sku_not_found)\n"
    );
    assert_eq!((ran.code, &*ran.err), (3, &*told), "{}", ran.out);
}

#[test]
fn what_no_line_of_a_file_can_help_is_not_advised() {
    let house = House::furnished();
    for (noun, text, code, expected) in [
        ("tiers", "from\n0\n5\n5\n", 1, ":4: from: 5 is not above 5, which is in line 3\n"),
        ("stock", "site,place\nICN,A-01\n", 1, ":1: the column quantity is missing\n"),
    ] {
        let file = house.file("wrong.csv", text);
        let ran = house.run(&format!("import {noun} {file}"));
        assert_eq!((ran.code, &*ran.out), (code, ""), "{noun}");
        assert!(ran.err.contains(&format!("{file}{expected}")), "{}", ran.err);
        assert!(ran.err.ends_with("jaego: nothing was loaded\n"), "{}", ran.err);
    }
}

#[test]
fn a_document_with_a_wrong_row_is_left_out_whole() {
    let house = House::furnished();
    let head = "id,from,to,line,sku,quantity\n";
    house.done("transfer request OLD --from ICN --to GMP mug=1");
    let rows = "T1,ICN,GMP,1,mug,1\nT1,ICN,GMP,2,mug,x\nT1,ICN,GMP,3,cup,1\n\
                T2,ICN,GMP,1,mug,1\nT2,ICN,GMP,2\nT3,ICN,GMP,1,mug,1\n\
                OLD,ICN,GMP,1,mug,2\nT4,ICN,GMP,1,mug,2\n";
    let file = house.file("transfers.csv", &format!("{head}{rows}"));
    let ran = house.run(&format!("import transfers {file} --skip-bad --allocate"));
    assert_eq!(ran.code, 1, "rows were wrong: {} {}", ran.out, ran.err);
    // A row that says no id may belong to the one before it or behind it.
    let lines: Vec<_> = ran.err.lines().collect();
    assert!(lines[0].starts_with(&format!("{file}:3: quantity: ")), "{}", ran.err);
    assert!(lines[1].starts_with(&format!("{file}:6: it has 4 fields")), "{}", ran.err);
    for (line, id) in [(2, "T2"), (3, "T3")] {
        assert!(lines[line].starts_with(&format!("{file}:6: {id} is left out: ")), "{}", ran.err);
    }
    assert!(lines[4].starts_with(&format!("{file}:8: ")) && lines[4].ends_with("(id_taken)"), "{}", ran.err);
    assert!(
        ran.out.starts_with("transfers: 1 loaded, 1 refused\nallocated: 2 units for 1 transfers"),
        "{}",
        ran.out
    );
    for id in ["T1", "T2", "T3"] {
        assert_eq!(house.run(&format!("transfer show {id}")).code, 3, "{id}");
    }
    assert!(house.done("transfer show OLD").contains("requested"), "it is somebody else's");
    assert!(house.done("transfer show T4").contains("allocated"));
    let right =
        house.file("right.csv", &format!("{head}{}", rows.replace(",x", ",1").replace("T2,ICN,GMP,2\n", "")));
    let ran = house.run(&format!("import transfers {right} --skip-bad"));
    assert_eq!(
        (ran.code, &*ran.out),
        (3, "transfers: 3 loaded, 1 were there before, 1 refused\n"),
        "{}",
        ran.err
    );
}

#[test]
fn an_import_says_as_json_what_came_of_it_whatever_that_was() {
    let house = House::furnished();
    let head = "site,location,sku,quantity\n";
    let bad = house.file("bad.csv", &format!("{head}ICN,A-01,mug,four\nICN,A-02,mug,2\n"));
    let json = |ran: &Ran| serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|_| panic!("{}", ran.out));
    let ran = house.run(&format!("import stock {bad} --json"));
    assert_eq!((ran.code, &json(&ran)["loaded"], &json(&ran)["bad_lines"]), (1, &0.into(), &1.into()));
    let reason = "quantity: \"four\" is not a whole number";
    let told = serde_json::json!([{ "line": 2, "reason": reason }]);
    assert_eq!(json(&ran)["bad"], told);
    let ran = house.run(&format!("import stock {bad} --json --skip-bad"));
    assert_eq!((ran.code, &json(&ran)["loaded"], &json(&ran)["bad_lines"]), (1, &1.into(), &1.into()));
    assert_eq!(json(&ran)["bad"], told);
    let empty = house.file("empty.csv", head);
    let ran = house.run(&format!("import stock {empty} --json"));
    assert_eq!((ran.code, &json(&ran)["loaded"]), (0, &0.into()));
    let refused = house.file("refused.csv", &format!("{head}ICN,Z-99,mug,2\n"));
    let ran = house.run(&format!("import stock {refused} --json"));
    assert_eq!((ran.code, &json(&ran)["refused"][0]["line"]), (3, &2.into()));
}

#[test]
fn many_refusals_across_batches_change_nothing() {
    let house = House::furnished();
    let mut text = "site,location,kind\n".to_owned();
    for number in 0..10_500 {
        let site = if number % 50 == 49 { "NOWHERE" } else { "ICN" };
        text += &format!("{site},B-{number},storage\n");
    }
    let file = house.file("locations.csv", &text);
    let ran = house.run(&format!("import locations {file}"));
    assert_eq!(ran.code, 3);
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 210);
    for (index, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("{file}:{}: ", 50 * index + 51)), "{line}");
    }
    assert!(ran.out.starts_with("locations: 0 loaded, 210 refused; nothing was changed"), "{}", ran.out);
    assert!(!house.done("location list ICN --limit 1000").contains("B-"));
    let file = house.file("good.csv", &text.replace("NOWHERE", "ICN"));
    assert_eq!(house.done(&format!("import locations {file}")), "locations: 10500 loaded\n");
}

#[test]
fn picks_are_claimed_zone_by_zone() {
    let house = House::furnished();
    house.done("location set ICN A-01 --pick-order 1 --zone A");
    house.done("location set ICN A-02 --pick-order 2 --zone B");
    house.done("transfer request T1 --from ICN --to GMP mug=6 cup=3");
    house.done("transfer allocate T1");
    assert!(house.done("status").contains("\npicks       2 waiting, 0 claimed\n"));
    let claimed = house.done("transfer claim T1 --worker ann --zone A");
    assert!(
        claimed.starts_with("ann has 1 zone to pick (event N)\nTRANSFER  ZONE  FENCE  UNTIL\nT1        A "),
        "{claimed}"
    );
    let next = house.run("claim next ICN --worker bob --work picks --zone B --json");
    let claims: Value = serde_json::from_str(&next.out).unwrap();
    assert_eq!((&claims["claims"][0]["transfer"], &claims["claims"][0]["zone"]), (&"T1".into(), &"B".into()));
    let none = house.run("claim next ICN --worker bob --work picks");
    assert!(none.err.contains("(nothing_to_claim)\n"), "{}", none.err);
    assert_eq!(house.run("claim next ICN --worker bob --zone B").code, 3, "orders are of no zone");
    let others = house.run("transfer pick T1");
    assert!(others.err.contains("is claimed by ann until "), "{}", others.err);
    let fence = fence_of(&house, "T1");
    house.done(&format!("transfer extend T1 --worker ann --fence {fence} --lease 1h"));
    assert_eq!(house.run("transfer pick T1 --worker ann").code, 2, "a worker comes with a fence");
    let lost = house.run(&format!("transfer pick T1 --worker bob --fence {fence}"));
    assert_eq!(lost.code, 3);
    assert!(lost.err.contains("(claim_lost)"), "{}", lost.err);
    let picked = house.done(&format!("transfer pick T1 --worker ann --fence {fence}"));
    assert!(picked.starts_with("transfer T1 is picked (event N)\n"), "{picked}");
    let shown = house.done("transfer show T1");
    assert!(shown.contains("to pick:\nZONE  LINES  WORKER  FENCE  UNTIL\nB         1  bob "), "{shown}");
    let fence = claims["claims"][0]["fence"].as_u64().unwrap();
    house.done(&format!("transfer unclaim T1 --worker bob --fence {fence}"));
    assert!(house.done("events --kind transfer_unclaimed").trim_end().ends_with("transfer T1  T1/B"));
}

/// The fence of the first claim on what a transfer has to pick.
fn fence_of(house: &House, transfer: &str) -> u64 {
    let shown = house.run(&format!("transfer show {transfer} --json"));
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    let claims = shown["picking"].as_array().unwrap().iter().map(|work| &work["claim"]);
    claims.filter_map(|claim| claim["fence"].as_u64()).next().unwrap()
}

#[test]
fn orders_are_placed_claimed_and_completed() {
    let house = House::furnished();
    assert_eq!(
        house.done("order place O1 --site ICN mug=2 cup=1 --customer kim --priority 3"),
        "order O1 is placed (event N)\n\
         LINE  SKU  SITE  LOCATION  QUANTITY\n\
         1     mug  ICN   A-01             2\n\
         2     cup  ICN   A-02             1\n"
    );
    house.done("order place O2 --site ICN mug=7 --backorder");
    let refused = house.run("claim order O2 --worker ann");
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.starts_with(
            "jaego: refused: line 1 of order O2 asks for 7 of mug, and 6 are allocated (order_short)\n"
        ),
        "{}",
        refused.err
    );
    let claims = house.run("claim next ICN --worker ann --policy priority --count 5 --lease 10m --json");
    let claims: Value = serde_json::from_str(&claims.out).unwrap();
    assert_eq!(claims["claims"].as_array().map(Vec::len), Some(1), "{claims}");
    let fence = claims["claims"][0]["fence"].as_u64().unwrap();
    let other = house.run("claim next ICN --worker bob");
    assert!(other.err.contains("(nothing_to_claim)\ntry: `jaego order list "), "{}", other.err);
    let said = house.done("order list --status processing");
    assert_eq!(
        said,
        "ORDER  SITE  STATUS      CUSTOMER  PRIORITY  LINES  ALLOCATED  WORKER  PLACED\n\
         O1     ICN   processing  kim              3      2  yes        ann     TIME\n"
    );
    assert!(house.done("status").contains("\norders      1 waiting, 1 claimed\n"));
    house.done(&format!("claim extend O1 --worker ann --fence {fence} --lease 1h"));
    assert_eq!(house.run("order complete O1 --worker ann").code, 2, "a worker comes with a fence");
    let lost = house.run(&format!("order complete O1 --worker bob --fence {fence}"));
    assert_eq!(lost.code, 3);
    assert!(lost.err.contains("(claim_lost)"), "{}", lost.err);
    let completed = house.done(&format!("order complete O1 --worker ann --fence {fence}"));
    assert!(completed.starts_with("order O1 is completed (event N)\n"), "{completed}");
    // What arrives goes to the order that waits for it.
    house.done("stock adjust S2 --site ICN --account supplier mug@A-02=4");
    assert!(house.done("events --kind orders_filled").trim_end().ends_with("order O2"));
    assert_eq!(
        house.done("order show O2"),
        "order     O2\nsite      ICN\nstatus    waiting\npriority  0\nplaced    TIME\n\
         LINE  SKU  QUANTITY  ALLOCATED  LOCATION  PICK\n\
         1     mug         7          7  A-01         6\n\
         1     mug         7          7  A-02         1\n"
    );
    // What its placing was short of has come since.
    let again = house.done("order allocate O2");
    let told = "order O2 got this when it was last allocated; `jaego order show` has what it holds now (event N, and was";
    assert!(again.starts_with(told), "{again}");
    house.done("claim order O2 --worker bob");
    assert_eq!(house.done("order cancel O2"), "order O2 is cancelled (event N)\n");
    assert_eq!(
        house.done("order allocation ICN at_completion"),
        "orders of ICN are allocated at completion (event N)\n"
    );
    assert_eq!(house.done("order place O3 --site ICN mug=99"), "order O3 is placed (event N)\n");
    house.done("order place O5 --site ICN cup=9 --backorder");
    let allocated = house.done("order allocate O5");
    assert!(allocated.starts_with("order O5 is partially allocated (event N)\n"), "{allocated}");
    house.done("order place O6 --site ICN mug=1");
    let allocated = house.done("order allocate O6");
    assert!(allocated.starts_with("order O6 is allocated (event N)\n"), "{allocated}");
    let located = house.run("order place O4 --site ICN mug@A-01=1");
    assert_eq!((located.code, located.out.as_str()), (2, ""), "{}", located.err);
}

#[test]
fn what_is_exported_can_be_imported_elsewhere() {
    let house = House::furnished();
    house.done("sku set milk --tracking lot");
    house.done("lot set milk L1 --expires-on 2030-01-31");
    house.done("stock adjust S2 --site ICN milk/L1@A-01=5");
    house.done("transfer request T1 --from ICN --to GMP mug=6 cup=5 --priority 3");
    house.done("order place O1 --site ICN mug=1 milk/L1=2 --customer kim --priority 3");
    house.done("order place O2 --site ICN mug=1 --backorder");
    house.done("order place O3 --site ICN mug=1");
    house.done("order cancel O3");
    // Its stock is taken at completion: such an order is placed whatever there is.
    house.done("order allocation GMP at_completion");
    house.done("order place O4 --site GMP mug=99");
    for line in [
        "wallet charge kim KRW 5000",
        "wallet charge kim USD 7",
        "wallet limit kim KRW -20000",
        "wallet charge lee KRW 300",
        "wallet authorize A1 lee KRW 100",
        "wallet charge park KRW 10",
        "wallet pay park KRW 10",
        "card tiers 0 9200 20000",
        "card set sword kim 9000",
        "card set axe lee 9500",
    ] {
        house.done(line);
    }
    let told = house.run("export wallets").err;
    assert_eq!(
        told,
        "wallets: 3 written\n\
         wallets: 1 balances of zero or less are left out, with their limits\n\
         wallets: of 1 balances a part is held for open authorizations, which are left out\n"
    );
    let told = house.run("export orders").err;
    assert_eq!(
        told,
        "orders: 3 written, in 4 rows\norders: 1 that are completed or cancelled are left out\n"
    );
    let other = House::start();
    for (noun, end) in [
        ("sites", "csv"),
        ("locations", "csv"),
        ("skus", "csv"),
        ("lots", "csv"),
        ("stock", "jsonl"),
        ("transfers", "jsonl"),
        ("orders", "jsonl"),
        ("wallets", "csv"),
        ("tiers", "csv"),
        ("cards", "jsonl"),
    ] {
        let file = house.folder.path().join(format!("{noun}.{end}")).display().to_string();
        house.done(&format!("export {noun} {file}"));
        other.done(&format!("import {noun} {file}"));
        let csv = house.done(&format!("export {noun}"));
        assert_eq!(csv, other.done(&format!("export {noun}")), "{noun}");
        // And the other form says the same: everything is there already.
        let file = house.file(&format!("{noun}-again.csv"), &csv);
        let again = other.done(&format!("import {noun} {file}"));
        assert!(again.contains(": 0 loaded, "), "{noun}: {again}");
    }
    assert_eq!(house.done("stock list"), other.done("stock list"));
    assert!(other.done("wallet show kim").contains("-20000"), "the credit came along");
    // Within the one tier of a new store it would be an offer.
    let poke = "poke P1: sword for axe (event N)\n";
    assert_eq!(house.done("proposal make P1 kim sword axe"), poke);
    assert_eq!(other.done("proposal make P1 kim sword axe"), poke);
    let file = house.file("tiers.csv", "from\n0\n500\n");
    assert_eq!(other.done(&format!("import tiers {file}")), "tiers: 2 loaded\n");
    let file = other.folder.path().join("t.jsonl").display().to_string();
    other.done(&format!("export transfers {file}"));
    let allocated = other.done(&format!("import transfers {file} --allocate"));
    assert!(
        allocated
            .contains("allocated: 9 units for 1 transfers, nothing for 0; 2 units of 1 SKUs are short\n"),
        "{allocated}"
    );
    // What is whole already is not counted again, and what was called off does not come back to life.
    other.done("stock adjust S2 --site ICN cup@A-02=+2");
    other.done(&format!("import transfers {file} --allocate"));
    let allocated = other.done(&format!("import transfers {file} --allocate"));
    assert!(
        allocated.contains("allocated: 0 units for 0 transfers, nothing for 0; 0 units of 0 SKUs are short\n1 transfers were allocated before\n"),
        "{allocated}"
    );
    other.done("transfer cancel T1 --release");
    let exported = other.run(&format!("export transfers {file}"));
    assert_eq!(
        exported.err,
        "transfers: 0 written\ntransfers: 1 that are shipped whole or have ended are left out\n"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

#[test]
fn names_keep_their_spaces_from_export_to_import() {
    let (house, other) = (House::start(), House::start());
    for words in [
        &["site", "set", "ICN", "--name", " 인천 "][..],
        &["location", "set", "ICN", "A-01", "--zone", "\u{3000}cold\u{a0}"],
        &["location", "set", "ICN", "A-02", "--zone", "  "],
        &["location", "set", "ICN", "A-03"],
        &["sku", "set", "mug", "--name", "mug, \"big\" "],
    ] {
        let ran = house.run_words(words);
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
    }
    for noun in ["sites", "locations", "skus"] {
        let said = house.run(&format!("export {noun} --format jsonl")).out;
        for end in ["csv", "jsonl"] {
            let file = house.folder.path().join(format!("{noun}.{end}")).display().to_string();
            house.done(&format!("export {noun} {file}"));
            other.done(&format!("import {noun} {file}"));
            assert_eq!(other.run(&format!("export {noun} --format jsonl")).out, said, "{end}");
        }
    }
    let location = other.run("location show ICN A-02 --json").out;
    assert!(location.contains(r#""zone":"  ""#), "{location}");
}

#[test]
fn what_is_missing_is_not_exported_and_what_cannot_be_taken_otherwise_is() {
    let house = House::furnished();
    for line in [
        "sku set milk --tracking lot",
        "lot set milk L1",
        "lot set milk L2",
        "lot set milk OLD --expires-on 2020-01-31",
        "stock adjust S2 --site ICN milk/L1@A-01=5 milk/L2@A-01=4 milk/OLD@A-01=3 mug@BAD=2",
        "transfer request T1 --from ICN --to GMP mug=6 cup=3 milk/L1=4",
        "transfer allocate T1",
        "transfer pick T1 1=3,not_found=2 2=0,not_found=3 3=1,not_found=2",
        "transfer release T1",
        "lot block milk L2",
    ] {
        house.done(line);
    }
    let file = house.folder.path().join("stock.csv").display().to_string();
    let told = house.run(&format!("export stock {file}"));
    assert_eq!(
        told.err,
        "stock: 7 written\nstock: 7 units in 3 positions are missing until they are counted, and left out\n"
    );
    // What was picked stands at OUT; of the mugs 3 of 8 are left, of the milk of L1 2 of 5, of the cups none.
    let mut rows: Vec<_> = fs::read_to_string(&file).unwrap().lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            "ICN,A-01,milk,L1,2",
            "ICN,A-01,milk,L2,4",
            "ICN,A-01,milk,OLD,3",
            "ICN,A-01,mug,,3",
            "ICN,BAD,mug,,2",
            "ICN,OUT,milk,L1,1",
            "ICN,OUT,mug,,3",
        ]
    );
    let other = House::furnished();
    for line in ["sku set milk --tracking lot", "stock count C1 --site ICN mug@A-01=0 cup@A-02=0"] {
        other.done(line);
    }
    let lots = house.folder.path().join("lots.csv").display().to_string();
    house.done(&format!("export lots {lots}"));
    other.done(&format!("import lots {lots}"));
    other.done(&format!("import stock {file} --load moved"));
    // Nothing can be promised there that could not be here.
    for sku in ["mug", "cup", "milk"] {
        let available = |house: &House| {
            let list = house.run(&format!("stock list --sku {sku} --json")).out;
            let list: Value = serde_json::from_str(&list).unwrap();
            let positions = list["items"].as_array().unwrap().iter();
            positions.map(|position| position["available"].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(available(&house), available(&other), "{sku}");
    }
}

#[test]
fn an_export_that_breaks_off_leaves_the_last_one_as_it_was() {
    let mut house = House::furnished();
    let file = house.folder.path().join("stock.csv");
    house.done(&format!("export stock {}", file.display()));
    let before = fs::read_to_string(&file).unwrap();
    assert!(before.contains("ICN,A-01,mug,,8\n"), "{before}");
    drop(house.server.take());
    let failed = house.run(&format!("export stock {}", file.display()));
    assert_eq!((failed.out.as_str(), failed.code), ("", 4), "{}", failed.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let names = fs::read_dir(house.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let parts: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
    // What is no file is written to as it is.
    let (server, addr) = serve(&house.data());
    (house.server, house.addr) = (Some(server), addr);
    house.done("export stock /dev/null --format csv");
}

#[test]
fn a_backup_under_load_has_every_hold_that_was_acknowledged() {
    let mut house = House::furnished();
    house.done("stock adjust S9 --site ICN mug@A-02=+1000000");
    let placed = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let folder = house.folder.path().to_owned();
    let mut known = Vec::new();
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::SeqCst) {
                house.done(&format!("hold place L{number} --site ICN mug=1"));
                number += 1;
                placed.store(number, Ordering::SeqCst);
            }
        });
        for round in 0..3 {
            jaego_testkit::wait_until("some holds", WAIT, || {
                (placed.load(Ordering::SeqCst) > round * 5 + 5).then_some(())
            })
            .unwrap();
            known.push(placed.load(Ordering::SeqCst));
            let to = folder.join(format!("backup-{round}"));
            let said = house.done(&format!("backup --data {} --to {}", house.data().display(), to.display()));
            assert!(said.ends_with(&format!("backed up and proven: {}\n", to.display())), "{said}");
        }
        is_over.store(true, Ordering::SeqCst);
        load.join().unwrap();
    });
    for (round, known) in known.into_iter().enumerate() {
        let (from, to) = (folder.join(format!("backup-{round}")), folder.join(format!("restored-{round}")));
        house.done(&format!("restore --from {} --data {}", from.display(), to.display()));
        let proven = house.done(&format!("verify --json --data {}", to.display()));
        let proven: Value = serde_json::from_str(&proven).unwrap();
        assert!(
            proven["sequence"].as_u64() > Some(0) && proven["state"].as_str().unwrap().len() == 32,
            "{proven}"
        );
        let again = house.run(&format!("restore --from {} --data {}", from.display(), to.display()));
        assert_eq!(again.code, 1);
        assert!(again.err.contains("is not empty"), "{}", again.err);
        // The tokens came along.
        let (server, addr) = serve(&to);
        let first = house.addr;
        house.addr = addr;
        for number in 0..known {
            house.done(&format!("hold show L{number}"));
        }
        house.addr = first;
        drop(server);
    }
    drop(house.server.take());
}

#[test]
fn a_demo_serves_its_sample() {
    let demo = Server::start(ServerOptions {
        program: PROGRAM.into(),
        args: vec!["demo".into()],
        env: Vec::new(),
        ready: Some(Ready::Line("Press Ctrl-C".to_owned())),
    });
    let mut demo = demo.unwrap();
    let said = demo.stdout();
    let variable = |name: &str| {
        let start = format!("  export {name}=");
        said.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["transfer", "show", "PO-0002"]).env_clear().env("HOME", folder.path());
    command.env("JAEGO_URL", variable("JAEGO_URL")).env("JAEGO_TOKEN", variable("JAEGO_TOKEN"));
    let shown = ran(command);
    assert!(shown.out.contains("HJ-1213"), "{}{}", shown.out, shown.err);
    assert!(demo.terminate().unwrap().success());
}

#[test]
fn a_lot_is_recalled() {
    let house = House::furnished();
    house.done("sku set milk --tracking lot");
    house.done("lot set milk L1");
    house.done("stock adjust J1 --site ICN milk/L1@A-01=+9 --account supplier");
    house.done("hold place H1 --site ICN milk=2 --owner kim");
    house.done("hold confirm H1");
    house.done("hold place H2 --site ICN milk=3 --owner lee");
    house.done("transfer request T1 --from ICN --to GMP milk=1");
    house.done("transfer allocate T1");
    house.done("transfer pick T1");
    house.done("transfer ship T1 SH1");
    house.done("lot block milk L1");
    let holds = house.done("hold list --sku milk --lot L1");
    assert!(holds.contains("H2") && holds.contains("lee") && !holds.contains("H1"), "{holds}");
    assert_eq!(house.done("hold list --owner kim").lines().count(), 1);
    let trace = house.done("lot trace milk L1");
    assert!(trace.contains("T1") && trace.contains("ON THE WAY"), "{trace}");
    assert!(trace.contains("customers have 2 of it: "), "{trace}");
    let refused = house.run("hold confirm H2");
    assert!(refused.err.contains("(lot_blocked)"), "{}", refused.err);
    house.done("hold release H2");
    house.done("lot unblock milk L1");
}

#[test]
fn carts_are_filled_checked_out_and_refunded() {
    let house = House::furnished();
    house.done("sku set mug --price KRW=5000 --price USD=4");
    assert!(house.done("sku show mug").contains("KRW=5000 USD=4"));
    house.done("sku set cup --price KRW=3000");
    house.done("cart set C1 --site ICN --owner kim --hold 10m");
    let item = house.done("cart item C1 mug 2");
    assert!(
        item.starts_with("cart C1 has 2 of mug (event N)\n") && item.contains("\nheld until TIME"),
        "{item}"
    );
    house.done("cart item C1 cup 1");
    let shown = house.done("cart show C1");
    assert!(shown.contains("\nstatus  open\n") && shown.contains("\ntotal   13000 KRW\n"), "{shown}");
    assert!(house.done("cart list --owner kim").contains("C1"));
    assert!(house.done("status").contains("\ncarts       1 open\n"));
    let refused = house.run("cart checkout C1 KRW");
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.starts_with(
            "jaego: refused: cart C1 cannot be checked out: kim has 0 KRW available, not 13000 (checkout_blocked)\n"
        ),
        "{}",
        refused.err
    );
    house.done("wallet charge kim KRW 20000");
    let changed = house.run("cart checkout C1 KRW --expected-total 12000");
    assert!(changed.err.contains("the total is 13000 KRW now, not 12000 (price_changed)"), "{}", changed.err);
    let ordered = house.done("cart checkout C1 KRW --expected-total 13000 --order O9");
    assert!(ordered.starts_with("cart C1 is order O9, paid for (event N)\n"), "{ordered}");
    assert!(ordered.contains("the wallet has 7000 left"), "{ordered}");
    let order = house.done("order show O9");
    assert!(order.contains("\nsold      13000 KRW, paid 13000\n"), "{order}");
    assert!(house.run("cart checkout C1 KRW").err.contains("(cart_ordered)"));
    let refunded = house.done("order refund O9 --amount 3000 --reason broken");
    assert!(refunded.starts_with("order O9 is refunded (event N)\n"), "{refunded}");
    assert!(refunded.ends_with("the wallet has 10000 now\n"), "{refunded}");
    assert!(house.done("order show O9").contains("\nsold      13000 KRW, paid 10000\n"));
    let refused = house.run("order refund O9 --amount 10001");
    assert!(
        refused.err.contains("10000 KRW can be refunded, not 10001 (refund_exceeds_order)"),
        "{}",
        refused.err
    );
    let told = house.run("export orders").err;
    assert!(told.contains("\norders: 1 were paid for, which is not written: "), "{told}");
    let cancelled = house.done("order cancel O9");
    assert!(cancelled.ends_with("the wallet has 20000 now\n"), "{cancelled}");
    assert!(house.done("order show O9").contains("\nsold      13000 KRW, paid 0\n"));
    house.done("cart set C2 --site ICN --owner kim");
    assert_eq!(house.done("cart discard C2"), "cart C2 is discarded (event N)\n");
    // Prices go out and come in with the SKUs.
    let file = house.file("skus.csv", "");
    house.done(&format!("export skus {file}"));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().next().unwrap().ends_with("prices.KRW,prices.USD"), "{text}");
    let again = house.done(&format!("import skus {file}"));
    assert!(again.starts_with("skus: 0 loaded"), "{again}");
    let raised = house.file("raised.csv", "sku,prices.KRW\npen,700\n");
    house.done(&format!("import skus {raised}"));
    assert!(house.done("sku show pen").contains("KRW=700"));
}
