use jaego_testkit::Durability;

use crate::redis_faults::ground::OnRedis;

crate::away::scenarios!(OnRedis::start(Durability::None));
