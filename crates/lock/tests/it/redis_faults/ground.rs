//! Redis, as those see it who stop, kill and restart servers and holders.

use std::net::SocketAddr;
use std::time::Duration;

use jaego_lock::{Guard, Locks, Redis, RedisOptions, Settings};
use jaego_testkit as testkit;
use jaego_testkit::Durability;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, cmd};

use crate::redis_faults::Observer;
use crate::struck::{End, Ground, Guarded};

/// Checks a fence, and writes if it is good.
const WRITE: &str = "
    if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then
        redis.call('INCR', KEYS[2])
        return 0
    end
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('RPUSH', KEYS[3], ARGV[1])
    return 1";

pub(crate) struct OnRedis(testkit::Redis);

impl OnRedis {
    pub(crate) fn start(durability: Durability) -> Self {
        let options = testkit::RedisOptions { durability, ..testkit::RedisOptions::default() };
        Self(testkit::Redis::start(&options).unwrap())
    }
}

impl Ground for OnRedis {
    type Guarded = Connection;

    fn addr(&self) -> SocketAddr {
        self.0.addr()
    }

    async fn locks(addr: SocketAddr, settings: Settings, quarantine: Duration) -> Locks {
        let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap().quarantine(quarantine);
        let options = options.replica_lag(Duration::ZERO).response_timeout(settings.response_timeout);
        Locks::with_settings(Redis::start(options), settings).unwrap()
    }

    /// A fence is the server's time of the grant.
    fn granted_us(guard: &Guard) -> u64 {
        guard.fence()
    }

    fn stop(&mut self) {
        self.0.stop().unwrap();
    }

    fn cont(&mut self) {
        self.0.cont().unwrap();
    }

    fn end(&mut self, how: End) {
        match how {
            End::Killed | End::Emptied => self.0.kill_9().unwrap(),
            End::Asked => self.0.shut_down().unwrap(),
        }
    }

    fn restart(&mut self, how: End) {
        if how == End::Emptied { self.0.restart_empty() } else { self.0.restart() }.unwrap();
    }

    async fn releases_remembered(&self) -> u64 {
        let keys: Vec<String> = Observer::of(&self.0).await.command("KEYS jaego:*:ended:*").await;
        keys.len() as u64
    }

    async fn until_clean(&self, patience: Duration) {
        Observer::of(&self.0).await.until_clean(patience).await;
    }
}

pub(crate) struct Connection(MultiplexedConnection);

impl Guarded for Connection {
    async fn connect(server: SocketAddr) -> Self {
        let client = Client::open(format!("redis://{server}/")).unwrap();
        let patient = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        Self(client.get_multiplexed_async_connection_with_config(&patient).await.unwrap())
    }

    async fn write(&mut self, key: &str, fence: u64) -> bool {
        let names = ["fence", "refused", "accepted"].map(|name| format!("{name}:{key}"));
        cmd("EVAL").arg(WRITE).arg(3).arg(&names).arg(fence).query_async(&mut self.0).await.unwrap()
    }

    async fn accepted(&mut self, key: &str) -> Vec<u64> {
        let key = format!("accepted:{key}");
        cmd("LRANGE").arg(key).arg(0).arg(-1).query_async(&mut self.0).await.unwrap()
    }

    async fn refused(&mut self, key: &str) -> u64 {
        let refused: Option<u64> =
            cmd("GET").arg(format!("refused:{key}")).query_async(&mut self.0).await.unwrap();
        refused.unwrap_or_default()
    }
}
