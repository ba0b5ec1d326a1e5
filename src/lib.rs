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
//! | what knows nothing of the others | [`error`], [`metrics`], `quote`, [`timestamp`], [`log`], [`backoff`], [`json`], `event_layout`, [`gzip`], [`memory_budget`], [`delivery`] |
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

pub mod aws;
pub mod backoff;
pub mod batch;
pub mod config;
pub mod decode;
pub mod delivery;
pub mod demand;
pub mod error;
mod event_layout;
pub mod extract;
pub mod fetch;
pub mod fields;
pub mod gzip;
pub mod host;
pub mod interval;
pub mod json;
pub mod locate;
pub mod log;
pub mod memory_budget;
pub mod metrics;
pub mod object_key;
pub mod pipeline;
mod plugin;
mod quote;
pub mod records;
pub mod timestamp;
