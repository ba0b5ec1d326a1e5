//! Sources of objects: a local path, a bucket, a queue. From open parameters to objects in the pipeline, and to what
//! becomes of the messages that named them.
#![forbid(unsafe_code)]

pub(crate) mod fetch;
pub(crate) mod local;
pub(crate) mod open;
pub(crate) mod open_params;
mod retry_report;
pub(crate) mod runtime;
pub(crate) mod s3;
mod size_estimate;
pub(crate) mod sqs;
