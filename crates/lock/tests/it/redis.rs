//! The backend on Redis, under the law of all backends.

use std::time::Duration;

use jaego_lock::conformance::{Size, Stage};
use jaego_lock::{Redis, RedisOptions};

struct OnRedis(jaego_testkit::Redis);

impl Stage for OnRedis {
    type Backend = Redis;

    async fn backend(&self) -> Redis {
        Redis::start(RedisOptions::new(&self.0.url()).unwrap().quarantine(Duration::ZERO))
    }

    fn grants(&self) -> Size {
        Size { everyday: 50_000, soak: 1_000_000 }
    }
}

jaego_lock::conformance!(OnRedis(
    jaego_testkit::Redis::start(&jaego_testkit::RedisOptions::default()).unwrap()
));
