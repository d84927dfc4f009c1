//! Makes Jaego's sample warehouse from the AdventureWorks tables: the same files from the same tables,
//! byte for byte, with whole numbers only.
//!
//! [`Tables`] is what AdventureWorks says, [`Sample`] is what Jaego imports. The README beside this
//! crate tells which decisions lie between them.

mod error;
mod sample;
mod tables;

pub use error::Error;
pub use sample::{BULK_DUE_FROM, Demand, ORDER_DIVISOR, Sample};
pub use tables::{Inventory, OrderLine, Place, Product, Tables};
