//! Loads any Falco plugin library and drives it as libscap and libsinsp do.
//!
//! For the command line, tests and benches: what they see of a plugin is what Falco would see, because every
//! call goes through the C ABI. The plugins that it can drive are those with event sourcing, field extraction
//! or both; state tables are offered as stubs that fail. This module knows nothing about CloudTrail.
//!
//! Where the real host reads memory that a plugin forgot to write, this one fills that memory with a pattern
//! first and reports the omission as an error.
//!
//! ```no_run
//! # use cloudtrail::host::{Plugin, Requests, Status};
//! # fn main() -> cloudtrail::error::Result<()> {
//! let plugin = Plugin::load("libcloudtrail.so".as_ref(), "{}")?;
//! let mut name = Requests::new(vec![plugin.request("ct.name")?])?;
//! let mut capture = plugin.open("logs/")?;
//! loop {
//!     let (status, events) = capture.next_batch()?;
//!     for event in events {
//!         for value in plugin.extract(event, &mut name, false)?.field(0) {
//!             println!("{} {value:?}", event.ts());
//!         }
//!     }
//!     if status == Status::Eof {
//!         return Ok(());
//!     }
//! }
//! # }
//! ```

mod capture;
mod event;
mod extract;
mod fields;
mod locate;
mod metrics;
mod owner;
mod plugin;
mod request;
mod symbols;
mod tables;
mod value;

pub use capture::{Capture, Events, Status};
pub use event::{Event, OwnedEvent};
pub use extract::{Extracted, FieldValues, Offsets, Values};
pub use fields::{Arg, Field, FieldType};
pub use locate::library_beside;
pub use metrics::{Metric, MetricKind, MetricValue, MetricsReader};
pub use owner::Severity;
pub use plugin::{Description, Plugin};
pub use request::{Request, Requests};
pub use symbols::Info;
pub use value::{Value, ValueRef};

use crate::error::{Error, ErrorKind};

/// The library is no plugin, or breaks a rule of the plugin API.
fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Api, message)
}
