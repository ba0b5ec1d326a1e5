//! Falco plugin for AWS CloudTrail logs.
//!
//! The library is built in two forms. As `libcloudtrail.so` it is what Falco loads: its only
//! surface is the C functions of the plugin API. As a Rust library it serves the tests, the
//! benches and `ctcat`, which drives the `.so` from the command line as Falco would.
//!
//! # The way of the data
//!
//! ```text
//! open params ─ locate ─> pipeline ─> decode ───────────────────────────> pipeline ─> next_batch
//!               which     jobs, in    gzip ────> records + tape ─> batch  in order,
//!               files     order       inflate    where records    events  bounded
//!                                     to text    and values are
//!
//! extract_fields ─ extract ──────> fields ───────> fields::key_table ─> json::Tape ─> json::text
//!                  which record,   which values,   where they are       where in      unescaped
//!                  known already?  how combined    on the tape          the text
//! ```
//!
//! *Delivery* turns files into events. [`locate`] reads the open parameters and names the files.
//! [`pipeline`] has the threads: it gives files to decode threads, several small ones at a time,
//! and hands the batches on in the files' order, while a [`memory_budget`] lets no more wait than is
//! allowed. A ticket of [`delivery`] tells when the host is done with a file. [`decode`] takes one
//! file through [`gzip`] and [`records`] into a [`batch`]. While a record's end is searched, its
//! tape is written ([`json`]): the positions of all values in it. So the text is scanned once, and
//! every later access is a look-up in the tape.
//!
//! *Extraction* answers what rules ask of an event. [`extract`] finds the record behind an event,
//! in the batch that was handed out or, for a replayed or copied event, by scanning it again. It
//! keeps each answer while the event stays the same. [`fields`] has the table of all fields with their
//! extractors, and the key table of a record: its known keys, found in one pass over each object
//! when a field first needs one; [`json::text`] unescapes. What is asked
//! of most events is counted in [`demand`], and decode threads work it out ahead: then the answer
//! stands in the batch.
//!
//! # Layers
//!
//! A module uses those in the lines above, and those before it in its own line.
//!
//! | Layer | Modules |
//! |---|---|
//! | what knows nothing of the others | [`error`], [`timestamp`], [`metrics`], `quote`, [`log`], [`backoff`], [`json`], `event_layout`, [`gzip`], [`memory_budget`], [`delivery`] |
//! | what CloudTrail writes | [`object_key`], [`interval`], [`records`] |
//! | what a person configures | [`config`] |
//! | records and their values | [`fields`], [`demand`], [`batch`] |
//! | delivery, and beside it extraction | [`decode`], [`pipeline`], [`aws`], [`fetch`], [`locate`]; [`extract`] |
//! | the C functions | `plugin` |
//!
//! Delivery and extraction never use each other: they meet in [`batch`] and in `plugin`.
//! [`host`] stands apart. It is the other side of the C functions, knows no CloudTrail and can
//! load any plugin; `ctcat` knows the plugin only through it.
//!
//! # Unsafe code
//!
//! Each file that needs no `unsafe` forbids it at its head. What remains is the C boundary from
//! both sides (`plugin`, [`host`]) and the scanner's vector instructions ([`json`]).

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
mod log;
mod metrics;
mod object;
mod object_key;
mod pipeline;
mod source;
mod timestamp;

/// What the tests, benches and fuzz targets of this package use of the plugin's inside. No interface: it changes freely.
#[doc(hidden)]
pub mod testing {
    pub use crate::batch::field_usage::{FieldUsage, HotFields};
    pub use crate::batch::{Admission, Admitted, Batch};
    pub use crate::config::interval::Interval;
    pub use crate::config::parse as parse_config;
    pub use crate::decode::gzip::{Inflater, MultiMemberReader, is_gzip};
    pub use crate::decode::records::{Damage, RecordReader, RecordSink};
    pub use crate::decode::{BatchSender, Decoder, Limits, THREAD_BYTES};
    pub use crate::extract::{Argument, Extractor, Given};
    pub use crate::fields::{Arg, FIELDS, FieldType, KnownKey, Pointer, RecordIndex};
    pub use crate::json::text::{compact, unescape};
    pub use crate::json::{Scan, Scanner, Tape, TapeBuffer, TapeSpan, Value, ValueType};
    pub use crate::log::Log;
    pub use crate::metrics::Metrics;
    pub use crate::object::memory_budget::MemoryBudget;
    pub use crate::object::{Content, Object};
    pub use crate::object_key::{is_log, time as key_time};
    pub use crate::pipeline::{Next, Pipeline, Settings};
    pub use crate::source::open_params::OpenParams;
    pub use crate::source::sqs::notification::{Notification, parse as parse_notification};
    pub use crate::timestamp::{nanoseconds, parse as parse_timestamp};
}
