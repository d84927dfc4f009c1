//! The Rust client of Jaego: typed requests and answers over HTTP.
//!
//! Commands find their routes in the table of `jaego-api`, so that the client cannot disagree with the service.
//!
//! ```no_run
//! use jaego_api::hold::{HoldLine, PlaceHold};
//! use jaego_client::Client;
//!
//! # async fn place() -> Result<(), jaego_client::Error> {
//! let client = Client::new("http://127.0.0.1:7878", "jaego_…")?;
//! let line = HoldLine { site: "ICN".into(), sku: "mug".into(), quantity: 4.into(), location: None, lot: None };
//! let outcome = client
//!     .hold(&PlaceHold {
//!         id: "H1".into(),
//!         owner: None,
//!         lines: [line].into(),
//!         expires_in_s: Some(600.into()),
//!         partial: None,
//!         strategy: None,
//!     })
//!     .await?;
//! println!("held until {:?}", outcome.expires_at);
//! # Ok(())
//! # }
//! ```

mod commands;
mod connector;
mod error;
mod events;
pub mod limits;
mod reads;
mod transport;

pub use error::Error;
pub use events::Events;
pub use jaego_tls::Trust;
pub use transport::Client;
