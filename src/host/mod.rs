//! A host for Falco plugins: loads any plugin library and drives it as libscap and libsinsp do.
//!
//! The command line, the tests and the benches use it. Every call goes through the C ABI, so they see of a plugin
//! exactly what Falco would see. The host supports event sourcing and field extraction; it offers state tables
//! only as stubs that fail. It is independent of the plugin in this crate: names and ids come from the caller.
//!
//! Where Falco would read memory that a plugin failed to write, this host fills that memory with a pattern first
//! and reports the omission as an error.
//!
//! | File | Content |
//! |---|---|
//! | `locate` | where a library is |
//! | `symbols` | the library's exported functions, checked |
//! | `plugin` | an initialized plugin |
//! | `capture`, `event` | an open event source and its events |
//! | `fields`, `request` | fields as declared and as requested |
//! | `extract`, `value` | extraction calls and their results |
//! | `metrics` | the plugin's metrics |
//! | `owner`, `tables` | callbacks for the plugin: log, state tables |
//!
//! ```no_run
//! # use cloudtrail::host::{Plugin, Requests, Status};
//! # fn main() -> cloudtrail::error::Result<()> {
//! let plugin = Plugin::load("./libexample.so".as_ref(), "{}")?;
//! let mut name = Requests::new(vec![plugin.request("example.name")?])?;
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
pub use extract::{Extracted, ExtractedFields, FieldValues, Offsets};
pub use fields::{Arg, Field, FieldType};
pub use locate::library_beside;
pub use metrics::{Metric, MetricKind, MetricValue, MetricsReader};
pub use owner::Severity;
pub use plugin::{Description, Plugin};
pub use request::{Request, Requests};
pub use symbols::Info;
pub use value::{OwnedValue, ValueRef};

use crate::error::{Error, ErrorKind};

/// Error for a file that is not a plugin, a plugin that violates the plugin API, or a misuse of this host.
fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Api, message)
}
