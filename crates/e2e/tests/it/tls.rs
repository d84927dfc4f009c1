//! The real binary behind TLS, spoken with by its own command line.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
};

use jaego_testkit::{Ca, Validity};

use crate::jaego::{Jaego, program};

fn serve(ca: &Ca, names: &[&str], validity: Validity) -> Jaego {
    let files = ca.issue("server", names, validity).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    Jaego::start_with(&["--tls-cert", &text(&files.certificate), "--tls-key", &text(&files.key)])
}

/// Runs a command against a service.
fn run(url: &str, token: &str, ca: Option<&Path>, words: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(words).args(["--url", url]).env_clear().env("JAEGO_TOKEN", token);
    if let Some(ca) = ca {
        command.env("JAEGO_CA", ca);
    }
    command.output().unwrap()
}

#[test]
fn the_command_line_speaks_with_a_service_behind_tls() {
    let ca = Ca::new().unwrap();
    let jaego = serve(&ca, &["127.0.0.1", "localhost"], Validity::Now);
    let url = format!("https://{}", jaego.addr);
    assert!(jaego.server.stdout().contains(&format!("listening on {url}")), "{}", jaego.server.stdout());
    let ca = ca.path();
    let done = |url: &str, words: &[&str]| {
        let ran = run(url, &jaego.token, Some(&ca), words);
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    done(&url, &["site", "set", "ICN"]);
    let events = done(&url, &["events", "--kind", "site_set"]);
    assert!(events.contains("site_set"), "{events}");
    // By the other name that the certificate is for.
    assert!(done(&format!("https://localhost:{}", jaego.addr.port()), &["events"]).contains("site_set"));
    // A kind that there is not would never come: it is refused, and those that there are are told.
    let ran = run(&url, &jaego.token, Some(&ca), &["events", "--kind", "site"]);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(3), "{told}");
    assert!(told.contains("\"site\" is no kind of event") && told.contains("site_set"), "{told}");
    jaego.end();
}

#[test]
fn a_certificate_that_does_not_fit_is_told_and_nothing_is_sent() {
    let (ours, others) = (Ca::new().unwrap(), Ca::new().unwrap());
    let name: &[&str] = &["127.0.0.1"];
    for (ca, names, validity, trusted, code, expected) in [
        (&ours, name, Validity::Now, Some(ours.path()), 0, ""),
        (&ours, name, Validity::Now, None, 1, "signed by nobody who is trusted here"),
        (&others, name, Validity::Now, Some(ours.path()), 1, "try: --ca FILE"),
        (&ours, &["shop.example"], Validity::Now, Some(ours.path()), 1, "is not for that name but for"),
        (&ours, name, Validity::Expired, Some(ours.path()), 1, "has expired"),
        (&ours, name, Validity::Now, Some("/nowhere/ca.pem".into()), 2, "cannot read /nowhere/ca.pem"),
    ] {
        let jaego = serve(ca, names, validity);
        let ran = run(&format!("https://{}", jaego.addr), &jaego.token, trusted.as_deref(), &["status"]);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{expected}: {told}");
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains(&jaego.token), "{told}");
    }
}

#[test]
fn who_mixes_up_http_and_https_is_told_so() {
    let ca = Ca::new().unwrap();
    let plain = Jaego::start();
    let secure = serve(&ca, &["127.0.0.1"], Validity::Now);
    let told = |scheme: &str, addr: SocketAddr, token: &str| {
        let ran = run(&format!("{scheme}://{addr}"), token, Some(&ca.path()), &["status"]);
        assert!(!ran.status.success());
        String::from_utf8(ran.stderr).unwrap()
    };
    let text = told("https", plain.addr, &plain.token);
    assert!(text.contains("speaks no TLS there"), "{text}");
    let text = told("http", secure.addr, &secure.token);
    assert!(text.contains("ask for https://"), "{text}");
}
