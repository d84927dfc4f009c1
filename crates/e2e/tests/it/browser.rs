//! The page of the API in a real browser: Chromium without a window, driven over WebDriver, which is JSON over HTTP.

use std::{
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use jaego_testkit::{Ready, Server, ServerOptions, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    http::Connection,
    jaego::{Jaego, ok},
};

/// Longest wait for something to show.
const PATIENCE: Duration = Duration::from_secs(20);
/// The name that the protocol gives to the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one empty page.
struct Browser {
    driver: Connection,
    session: String,
    // Ended before its folder goes.
    _process: Server,
    _profile: TempDir,
}

impl Browser {
    fn start() -> Self {
        let profile = tempfile::Builder::new().prefix("jaego-browser-").tempdir().unwrap();
        let port = free_port().unwrap();
        let process = Server::start(ServerOptions {
            program: "chromedriver".into(),
            args: vec![format!("--port={port}").into()],
            env: Vec::new(),
            ready: Some(Ready::Line("ChromeDriver was started successfully".into())),
        })
        .expect("scripts/needs.sh console installs chromedriver");
        let mut driver = Connection::open(SocketAddr::from(([127, 0, 0, 1], port)), "").unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        // Nothing but the page that is asked for, and no sandbox: tests run as root as well.
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1200,900",
            &folder,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = ok(driver.post("/session", &wanted).unwrap());
        let session = made["value"]["sessionId"].as_str().expect("a session has an id").to_owned();
        Self { driver, session, _process: process, _profile: profile }
    }

    fn post(&mut self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        ok(self.driver.post(&path, body).unwrap())["value"].clone()
    }

    fn open(&mut self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// What a piece of the page's own language comes to.
    fn run(&mut self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until a condition is true on the page.
    fn wait(&mut self, condition: &str) {
        let begun = Instant::now();
        while self.run(&format!("return Boolean({condition})")) != json!(true) {
            let page = self.run("return document.body.innerText");
            assert!(begun.elapsed() < PATIENCE, "{condition} does not become true on {page}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn element(&mut self, selector: &str) -> String {
        let found = self.post("element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("{selector} is not there: {found}")).to_owned()
    }

    fn click(&mut self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// Types like a person, after what is there.
    fn typed(&mut self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// What the console says was wrong.
    fn errors(&mut self) -> Vec<String> {
        let log = self.post("se/log", &json!({"type": "browser"}));
        let entries = log.as_array().expect("a log is a list").iter();
        entries.filter(|entry| entry["level"] == "SEVERE").map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        let _ = self.driver.send("DELETE", &format!("/session/{}", self.session), None, "");
    }
}

#[test]
fn the_page_of_the_api_sends_a_request_and_shows_its_answer() {
    let jaego = Jaego::start();
    let mut browser = Browser::start();
    let origin = format!("http://{}", jaego.addr);
    browser.open(&format!("{origin}/docs"));
    browser.wait("document.querySelectorAll('details').length > 50");

    // Finding hides what does not fit.
    browser.typed("#find", "Set a site");
    browser.wait("document.querySelectorAll('details:not([hidden])').length === 1");
    let route = "details:not([hidden])";
    browser.click(&format!("{route} summary"));

    // Without a token it is refused, and the page says so.
    browser.typed(&format!("{route} input"), "ICN");
    let body = format!("{route} textarea");
    let element = browser.element(&body);
    browser.post(&format!("element/{element}/clear"), &json!({}));
    browser.typed(&body, r#"{"name": "Incheon"}"#);
    browser.click(&format!("{route} button"));
    browser.wait(
        "document.querySelector('details:not([hidden]) pre:last-of-type').textContent.startsWith('401')",
    );
    assert_eq!(browser.errors().len(), 1, "the console tells the answer 401, and nothing else");

    // With one it is done, and the command to type is right, without the token in it.
    browser.typed("#token", &jaego.token);
    browser.click(&format!("{route} button"));
    browser.wait(
        "document.querySelector('details:not([hidden]) pre:last-of-type').textContent.startsWith('200')",
    );
    let shown = browser.run("return document.querySelector('details:not([hidden])').innerText");
    let shown = shown.as_str().expect("it is text");
    assert!(shown.contains(&format!("{origin}/v1/sites/ICN")), "{shown}");
    assert!(shown.contains("\"sequence\": 1"), "{shown}");
    assert!(!shown.contains(&jaego.token), "the token is shown");
    let site = ok(jaego.connect().get("/v1/sites/ICN").unwrap());
    assert_eq!(site["name"], "Incheon");

    // Nothing came from anywhere else, nothing was wrong, and nothing is wider than the page.
    let asked = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)");
    for name in asked.as_array().expect("it is a list") {
        assert!(name.as_str().is_some_and(|name| name.starts_with(&origin)), "{name} was asked for");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
    browser.post("window/rect", &json!({"width": 500, "height": 900}));
    browser.wait("document.documentElement.scrollWidth <= window.innerWidth");
    drop(browser);
    jaego.end();
}

#[test]
fn charts_stand_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks").canonicalize().unwrap();
    let charts: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "svg"))
        .collect();
    assert!(!charts.is_empty(), "there are no charts in {}", folder.display());
    let mut browser = Browser::start();
    for chart in charts {
        browser.open(&format!("file://{}", chart.display()));
        // Every text is within the picture; one that reached out would be cut off.
        let outside = browser.run(
            "const edge = document.documentElement.getBoundingClientRect();
             return [...document.querySelectorAll('text')]
               .filter((text) => { const at = text.getBoundingClientRect();
                 return at.left < edge.left - 1 || at.right > edge.right + 1 || at.bottom > edge.bottom + 1; })
               .map((text) => text.textContent);",
        );
        assert_eq!(outside, json!([]), "{} cuts texts off", chart.display());
        assert!(browser.run("return document.querySelectorAll('text').length").as_u64() > Some(3));
        assert_eq!(browser.errors(), Vec::<String>::new(), "{}", chart.display());
    }
}
