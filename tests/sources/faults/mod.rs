//! Faults of S3, SQS and the network: a transient one costs time only, a permanent one costs the affected object only,
//! and its name is in the log.
#![forbid(unsafe_code)]

pub mod messages;
pub mod objects;
pub mod queue;
pub mod shutdown;
