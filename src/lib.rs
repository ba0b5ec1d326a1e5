//! Falco plugin for AWS CloudTrail logs.
//!
//! The crate is built in two forms. `libcloudtrail.so` is the plugin: Falco loads it, and its only surface is the C
//! functions of the plugin API. The Rust library has [`host`], with which `ctcat`, tests and benches load the plugin as
//! Falco does.
//!
//! # Data flow
//!
//! ```text
//! delivery    open params ─> source ─> pipeline ─────────────────────────> ffi ─> host
//!                            names     threads,     │              ▲       next_batch
//!                            objects   order,       ▼ object       │ batch
//!                            (aws)     memory     decode ────────> batch
//!                                                 gzip, records    events, tapes,
//!                                                                  precomputed values
//!
//! extraction  host ─> ffi ───────────> extract ────────────> fields ────────> key_table ─> json
//!                     extract_fields   record of the event,  extractor of     known keys   tape, text
//!                                      cached values         each field
//! ```
//!
//! *Delivery* turns objects (log files) into events. `source` parses the open params, and names and downloads objects.
//! `pipeline` decodes them on several threads and keeps their order; a memory budget bounds what waits. `decode` inflates
//! one object, finds its records and adds them to a `batch`. While the scanner (`json`) looks for the end of a record, it
//! writes the record's tape: the positions of all values. So the text is scanned once, and every later access is a
//! look-up. An ack handle travels with an object and reports when the host has processed its last event.
//!
//! *Extraction* computes fields of an event. `extract` finds the record: in the live batch by the event's address, or, of
//! a detached event, by scanning it again. `fields` declares all fields with their extractors. Values are cached while the
//! event stays the same. Fields that rules use for most events are hot: decode threads precompute their values, through
//! a trait of `batch` that `extract` implements and `ffi` passes to `source::open`, the composition root. The filter of
//! `dropEvents` takes the same way.
//!
//! # Layers
//!
//! A module imports only modules in rows above its own, and those before it in its row, on its side of the semicolon.
//! `tests/layers.rs` checks this table.
//!
//! | Layer | Modules |
//! |---|---|
//! | foundation | [`error`], `timestamp`, `event_layout`, `metrics`, `log`, `json` |
//! | what CloudTrail writes | `object_key`, `key_table` |
//! | configuration | `config` |
//! | objects and events | `object`, `batch` |
//! | delivery; extraction | `decode`, `pipeline`, `aws`, `source`; `fields`, `extract` |
//! | C boundary | `ffi` |
//!
//! [`host`] is the other side of the C boundary. It imports nothing but [`error`] and `event_layout`, knows no CloudTrail
//! and can drive any plugin. `ctcat` (`src/bin/ctcat/`) knows the plugin only through it.
//!
//! # Where to change what
//!
//! | To change | Go to |
//! |---|---|
//! | a field, or how it is computed | `fields`: a row in `table`, a function in `extractors` |
//! | a key that fields read | `key_table` |
//! | which fields are precomputed | `extract::field_usage` |
//! | which events are dropped | `extract::event_filter` |
//! | which records become events, and their time | `batch` |
//! | a log format, or what counts as damage | `decode::records` |
//! | which objects are read | `object_key`, `source` |
//! | when a message is deleted | `source::sqs` |
//! | retries, credentials, endpoints | `aws` |
//! | memory limits | `object::memory_budget`, `pipeline` |
//! | a configuration key | `config` |
//! | an exported function | `ffi::exports` |
//!
//! `CONTRIBUTING.md` has the complete table and the glossary.
//!
//! # Unsafe code
//!
//! Files without `unsafe` forbid it. It remains on both sides of the C boundary (`ffi`, [`host`]) and in the scanner's
//! vector instructions (`json::simd`).

mod aws;
mod batch;
mod config;
mod decode;
pub mod error;
mod event_layout;
mod extract;
mod ffi;
mod fields;
pub mod host;
mod json;
mod key_table;
mod log;
mod metrics;
mod object;
mod object_key;
mod pipeline;
mod source;
mod timestamp;

/// Internals for the tests, benches and fuzz targets of this package. Not an interface: anything may change.
#[doc(hidden)]
pub mod testing {
    pub use crate::batch::{
        Batch, EventFilter, EventPolicy, FingerprintKey, Precompute, RecordHooks, RecordOutcome,
    };
    pub use crate::config::interval::Interval;
    pub use crate::config::parse as parse_config;
    pub use crate::decode::gzip::{Inflater, MultiMemberReader, is_gzip};
    pub use crate::decode::records::{Damage, RecordReader, RecordSink};
    pub use crate::decode::{BatchSender, Decoder, Limits, THREAD_BYTES};
    pub use crate::extract::event_filter::compile as compile_filter;
    pub use crate::extract::field_usage::FieldUsage;
    pub use crate::extract::{Argument, ExtractedValue, Extractor};
    pub use crate::fields::{Arg, FIELDS, FieldType, Pattern, Pointer};
    pub use crate::json::text::{compact, unescape};
    pub use crate::json::{Scan, Scanner, Tape, TapeBuffer, TapeSpan, Value, ValueType};
    pub use crate::key_table::{KnownKey, RecordIndex};
    pub use crate::log::Log;
    pub use crate::metrics::Metrics;
    pub use crate::object::memory_budget::MemoryBudget;
    pub use crate::object::{Content, Object};
    pub use crate::object_key::{is_log, time as key_time};
    pub use crate::pipeline::{Next, Pipeline, Settings};
    pub use crate::source::open_params::OpenParams;
    pub use crate::source::sqs::notification::{Notification, Parser as NotificationParser};
    pub use crate::timestamp::{nanoseconds, parse as parse_timestamp};
}
