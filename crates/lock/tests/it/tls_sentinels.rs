//! Sentinels that speak TLS, before servers that do and that do not.

use std::time::{Duration, Instant};

use jaego_lock::{Error, Locks, Redis, RedisOptions, RedisOptionsError, Tls};
use jaego_testkit as testkit;
use testkit::{Ca, CertificateFiles, RedisSentinel, Validity};

/// How long a failover may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait where it works: connections, handshakes and greetings are in it …
const WORKS_WITHIN: Duration = Duration::from_secs(5);
/// … and where it does not, which is not told before. By then the handshake has failed.
const FAILS_AFTER: Duration = Duration::from_secs(2);
const MASTER: &str = "stock";

struct Place {
    ca: Ca,
    files: CertificateFiles,
}

impl Place {
    fn new() -> Self {
        let ca = Ca::new().unwrap();
        let files = ca.issue("redis", &["127.0.0.1"], Validity::Now).unwrap();
        Self { ca, files }
    }

    fn trusted(&self) -> Tls {
        Tls::trusting(&std::fs::read(self.ca.path()).unwrap()).unwrap()
    }

    /// What has a server or a sentinel speak TLS at a port, beside its plain one.
    fn settings(&self, port: u16, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let port = port.to_string();
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let (certificate, key, ca) =
            (path(&self.files.certificate), path(&self.files.key), path(&self.ca.path()));
        let tls = [
            ("tls-port", port.as_str()),
            ("tls-cert-file", &certificate),
            ("tls-key-file", &key),
            ("tls-ca-cert-file", &ca),
            ("tls-auth-clients", "no"),
        ];
        let all = tls.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn server(&self, more: &[(&str, &str)]) -> (testkit::Redis, u16) {
        let port = testkit::free_port().unwrap();
        let settings = self.settings(port, more);
        let options = testkit::RedisOptions { settings, ..testkit::RedisOptions::default() };
        (testkit::Redis::start(&options).unwrap(), port)
    }

    /// Its address is that of its TLS port.
    fn sentinel(&self, master: u16, more: &[(&str, &str)]) -> (RedisSentinel, String) {
        let port = testkit::free_port().unwrap();
        let settings = self.settings(port, more);
        let sentinel = RedisSentinel::start_with(([127, 0, 0, 1], master).into(), MASTER, 0, &settings);
        (sentinel.unwrap(), format!("rediss://127.0.0.1:{port}/"))
    }
}

fn locks(options: RedisOptions) -> Locks {
    Locks::new(Redis::start(options.quarantine(Duration::ZERO)))
}

async fn try_lock(locks: &Locks, wait: Duration) -> Result<(), Error> {
    let guard = locks.lock("product:17").wait(wait).acquire().await?;
    assert!(guard.release().await.was_held());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed_when_everybody_speaks_tls() {
    let place = Place::new();
    let by_tls = [("tls-replication", "yes")];
    let (mut old, old_port) = place.server(&by_tls);
    let follows = format!("127.0.0.1 {old_port}");
    let (_new, new_port) = place.server(&[by_tls[0], ("replicaof", &follows)]);
    let (sentinel, url) = place.sentinel(old_port, &by_tls);
    let options = || RedisOptions::sentinel(&[&url], MASTER, "rediss://h.invalid/").unwrap();
    let locks = locks(options().tls(&place.trusted()).unwrap());
    try_lock(&locks, WORKS_WITHIN).await.unwrap();

    // The sentinel has to know of the replica before it can make it the master: it looks every ten seconds.
    let client = redis::Client::open(format!("redis://{}/", sentinel.addr())).unwrap();
    let mut asking = client.get_multiplexed_async_connection().await.unwrap();
    let started = Instant::now();
    loop {
        let replicas: Vec<redis::Value> =
            redis::cmd("SENTINEL").arg("replicas").arg(MASTER).query_async(&mut asking).await.unwrap();
        if format!("{replicas:?}").contains(&new_port.to_string()) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "the sentinel does not see the replica");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    old.kill_9().unwrap();
    let started = Instant::now();
    while let Err(error) = try_lock(&locks, FAILS_AFTER).await {
        assert!(started.elapsed() < PATIENCE, "nobody follows the new master: {error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told: (String, u16) = redis::cmd("SENTINEL")
        .arg("get-master-addr-by-name")
        .arg(MASTER)
        .query_async(&mut asking)
        .await
        .unwrap();
    assert_eq!(told.1, new_port);
    locks.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_may_speak_tls_before_a_server_that_does_not_and_are_checked() {
    let (place, others) = (Place::new(), Place::new());
    let server = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let (_sentinel, url) = place.sentinel(server.addr().port(), &[]);
    let options = |server: &str| RedisOptions::sentinel(&[&url], MASTER, server).unwrap();
    let plain = locks(options("redis://h.invalid/").tls(&place.trusted()).unwrap());
    try_lock(&plain, WORKS_WITHIN).await.unwrap();
    plain.shutdown().await;

    // Nobody that we trust has signed its certificate.
    for refused in
        [options("redis://h.invalid/"), options("redis://h.invalid/").tls(&others.trusted()).unwrap()]
    {
        let refused = locks(refused);
        let error = try_lock(&refused, FAILS_AFTER).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        assert!(format!("{error:?}").contains("invalid peer certificate"), "{error:?}");
        refused.shutdown().await;
    }
    let nowhere = RedisOptions::sentinel(&["redis://h/"], MASTER, "redis://h/").unwrap().tls(&Tls::system());
    assert!(matches!(nowhere, Err(RedisOptionsError::NoTls)));
}
