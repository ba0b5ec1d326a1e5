//! Falco plugin for AWS CloudTrail logs.

pub mod batch;
pub mod config;
pub mod decode;
pub mod error;
pub mod event;
pub mod extract;
pub mod field;
pub mod host;
pub mod inflate;
pub mod interval;
pub mod locate;
pub mod log;
pub mod log_name;
pub mod metrics;
pub mod pipeline;
mod plugin;
mod quote;
pub mod records;
pub mod slots;
pub mod tape;
pub mod text;
pub mod timestamp;
