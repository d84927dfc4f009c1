//! As the caller says: each line names its location, and what is left to choose is the lot, by the walk.

pub(super) use super::by_walk as compare;
