//! `sqs://`: every notification shape, and that no message is deleted before its records are delivered.
#![forbid(unsafe_code)]

pub mod deletion;
pub mod notification;
pub mod open;
pub mod receive;
pub mod visibility;
