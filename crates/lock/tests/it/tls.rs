//! TLS to real servers: with the right authority and name it works, and in every other way it does not.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use jaego_lock::{
    Error, Locks, Postgres, PostgresOptions, PostgresOptionsError, Redis, RedisOptions, RedisOptionsError,
    Settings, Tls, TlsError,
};
use jaego_testkit as testkit;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// How long a server may take to take up its certificate.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait where it works: connections, handshakes and greetings are in it …
const WORKS_WITHIN: Duration = Duration::from_secs(5);
/// … and where it does not, which is not told before. By then the handshake has failed.
const FAILS_AFTER: Duration = Duration::from_secs(2);

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn trusted(&self) -> Tls {
        Tls::trusting(self.0.pem().as_bytes()).unwrap()
    }

    /// A certificate for these names, and its key.
    fn issue(&self, names: &[&str]) -> [String; 2] {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        [certificate.pem(), key.serialize_pem()]
    }
}

/// The whole text of an error and its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A handshake on a busy machine takes its time.
fn locks_on_redis(options: RedisOptions) -> Locks {
    Locks::new(Redis::start(options.quarantine(Duration::ZERO).response_timeout(Duration::from_secs(2))))
}

/// Why nothing is locked, which is more than that nobody answers yet.
async fn refused_on_redis(options: RedisOptions) -> Error {
    let (locks, started) = (locks_on_redis(options), Instant::now());
    loop {
        let refused = locks.lock("product:17").wait(FAILS_AFTER).acquire().await;
        let error = refused.expect_err("nobody is to be spoken to");
        let slow = ["no answer", "timed out"].iter().any(|slow| told(&error).contains(slow));
        if !slow || started.elapsed() > PATIENCE {
            return error;
        }
    }
}

async fn on_redis(options: RedisOptions) -> Result<(), Error> {
    let locks = locks_on_redis(options);
    let guard = locks.lock("product:17").wait(WORKS_WITHIN).acquire().await?;
    assert!(guard.release().await.was_held());
    // The subscriber connects in the same way: who waits is told when the lock falls free.
    let holder = locks.lock("product:18").acquire().await?;
    let waiter = tokio::spawn(locks.lock("product:18").acquire());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(holder.release().await.was_held());
    assert!(waiter.await.unwrap()?.release().await.was_held());
    locks.shutdown().await;
    Ok(())
}

/// A server with a certificate, which asks clients for theirs or not.
async fn redis(authority: &Authority, names: &[&str], asks: &str) -> (testkit::Redis, u16) {
    let server = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let [certificate, key] = authority.issue(names);
    let file = |name: &str, text: &str| {
        let path = server.folder().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let port = testkit::free_port().unwrap();
    let mut connection =
        redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("tls-cert-file").arg(file("redis.crt", &certificate));
    set.arg("tls-key-file")
        .arg(file("redis.key", &key))
        .arg("tls-ca-cert-file")
        .arg(file("ca.crt", &authority.0.pem()));
    set.arg("tls-auth-clients").arg(asks).arg("tls-port").arg(port);
    let () = set.query_async(&mut connection).await.unwrap();
    (server, port)
}

#[tokio::test]
async fn redis_is_spoken_to_by_tls() {
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    let (server, port) = redis(&ours, &["127.0.0.1", "localhost"], "no").await;
    let at = |scheme: &str, host: &str| RedisOptions::new(&format!("{scheme}://{host}:{port}/")).unwrap();

    on_redis(at("rediss", "127.0.0.1").tls(&ours.trusted()).unwrap()).await.unwrap();
    on_redis(at("rediss", "localhost").tls(&ours.trusted()).unwrap()).await.unwrap();

    let wrong = refused_on_redis(at("rediss", "127.0.0.1").tls(&other.trusted()).unwrap()).await;
    assert!(matches!(wrong, Error::Unavailable { .. }), "{wrong:?}");
    assert!(told(&wrong).contains("UnknownIssuer"), "{}", told(&wrong));
    // Nobody has told the operating system of our authority.
    refused_on_redis(at("rediss", "127.0.0.1")).await;
    let plain = refused_on_redis(at("redis", "127.0.0.1")).await;
    assert!(matches!(plain, Error::Unavailable { .. }), "{plain:?}");
    // To speak TLS to the port that does not is no way round it.
    let to_plain = format!("rediss://{}/", server.addr());
    refused_on_redis(RedisOptions::new(&to_plain).unwrap().tls(&ours.trusted()).unwrap()).await;
}

#[tokio::test]
async fn a_redis_server_under_another_name_is_refused() {
    let ours = Authority::new("ours");
    let (_server, port) = redis(&ours, &["locks.example"], "no").await;
    let options = RedisOptions::new(&format!("rediss://127.0.0.1:{port}/")).unwrap();
    let wrong = refused_on_redis(options.tls(&ours.trusted()).unwrap()).await;
    assert!(told(&wrong).to_lowercase().contains("not valid for name"), "{}", told(&wrong));
}

#[tokio::test]
async fn a_redis_server_that_asks_for_our_certificate_gets_it() {
    let ours = Authority::new("ours");
    let (_server, port) = redis(&ours, &["127.0.0.1"], "yes").await;
    let options = RedisOptions::new(&format!("rediss://127.0.0.1:{port}/")).unwrap();
    let [chain, key] = ours.issue(&["shop-1"]);
    let known = ours.trusted().identity(chain.as_bytes(), key.as_bytes()).unwrap();
    on_redis(options.clone().tls(&known).unwrap()).await.unwrap();
    refused_on_redis(options.clone().tls(&ours.trusted()).unwrap()).await;
    let [chain, key] = Authority::new("another").issue(&["shop-1"]);
    let stranger = ours.trusted().identity(chain.as_bytes(), key.as_bytes()).unwrap();
    refused_on_redis(options.tls(&stranger).unwrap()).await;
}

#[test]
fn what_cannot_be_used_is_refused_at_once() {
    assert!(matches!(RedisOptions::new("rediss://h/#insecure"), Err(RedisOptionsError::Unchecked)));
    let plain = RedisOptions::new("redis://h/").unwrap().tls(&Tls::system());
    assert!(matches!(plain, Err(RedisOptionsError::NoTls)));
    assert!(matches!(Tls::trusting(b"nothing"), Err(TlsError::Certificates { .. })));
    let ours = Authority::new("ours");
    let [[chain, _], [_, key]] = [ours.issue(&["a"]), ours.issue(&["b"])];
    let mixed = ours.trusted().identity(chain.as_bytes(), key.as_bytes());
    assert!(matches!(mixed, Err(TlsError::Identity { .. })), "{mixed:?}");
    let keyless = ours.trusted().identity(chain.as_bytes(), chain.as_bytes());
    assert!(matches!(keyless, Err(TlsError::Key { .. })), "{keyless:?}");
    assert!(!format!("{:?}", ours.trusted()).contains("CERTIFICATE"));
}

/// A server that takes encrypted connections only, from other machines at least.
fn postgres(authority: &Authority, names: &[&str]) -> testkit::Postgres {
    let server = testkit::Postgres::start(&testkit::PostgresOptions::default()).unwrap();
    let folder = server.execute("postgres", "SHOW data_directory").unwrap();
    let folder = Path::new(folder.trim());
    let owner = fs::metadata(folder).unwrap();
    let [certificate, key] = authority.issue(names);
    let allowed = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n".to_owned();
    for (name, text) in [("server.crt", certificate), ("server.key", key), ("pg_hba.conf", allowed)] {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    server
}

fn take_up_tls(server: &testkit::Postgres) {
    let local = |sql: &str| server.execute("postgres", sql).unwrap();
    local("ALTER SYSTEM SET ssl = on");
    local("SELECT pg_reload_conf()");
    let started = Instant::now();
    while local("SHOW ssl").trim() != "on" {
        assert!(started.elapsed() < PATIENCE, "the server does not take up its certificate");
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn on_postgres(options: PostgresOptions) -> Result<(), Error> {
    let settings = Settings { response_timeout: Duration::from_secs(2), ..Settings::default() };
    let locks = Locks::with_settings(Postgres::start(options), settings).unwrap();
    let guard = locks.lock("product:17").wait(Duration::from_secs(5)).acquire().await?;
    assert!(guard.release().await.was_held());
    let holder = locks.lock("product:18").acquire().await?;
    let waiter = tokio::spawn(locks.lock("product:18").acquire());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(holder.release().await.was_held());
    assert!(waiter.await.unwrap()?.release().await.was_held());
    locks.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn postgres_is_spoken_to_by_tls() {
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    let server = postgres(&ours, &["127.0.0.1"]);
    let url = server.url("postgres");
    let options = || PostgresOptions::new(&url).unwrap().response_timeout(Duration::from_secs(2));
    let why = |error: PostgresOptionsError| told(&error);

    // Before the server can: we do not fall back to plain.
    let downgraded = why(options().tls(&ours.trusted()).unwrap().migrate().await.unwrap_err());
    assert!(downgraded.contains("does not support TLS"), "{downgraded}");

    take_up_tls(&server);
    let encrypted = options().tls(&ours.trusted()).unwrap();
    encrypted.migrate().await.unwrap();
    on_postgres(encrypted.clone()).await.unwrap();
    let session = encrypted.session_lock("nightly", Duration::from_secs(5)).await.unwrap();
    let ciphers = "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) \
                   WHERE application_name LIKE '%session' AND ssl AND version IN ('TLSv1.2', 'TLSv1.3')";
    assert_eq!(server.execute("postgres", ciphers).unwrap().trim(), "1");
    drop(session);

    let wrong = why(options().tls(&other.trusted()).unwrap().migrate().await.unwrap_err());
    assert!(wrong.contains("UnknownIssuer"), "{wrong}");
    let plain = why(options().migrate().await.unwrap_err());
    assert!(plain.contains("no encryption"), "{plain}");
}

#[tokio::test]
async fn a_postgres_server_under_another_name_is_refused() {
    let ours = Authority::new("ours");
    let server = postgres(&ours, &["locks.example"]);
    take_up_tls(&server);
    let options = PostgresOptions::new(&server.url("postgres")).unwrap().tls(&ours.trusted()).unwrap();
    let wrong = told(&options.migrate().await.unwrap_err());
    assert!(wrong.to_lowercase().contains("not valid for name"), "{wrong}");
}
