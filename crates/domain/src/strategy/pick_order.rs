//! The walk: positions as a picker comes by them.

pub(super) use super::by_walk as compare;
