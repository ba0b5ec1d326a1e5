//! S3 and SQS for tests: protocol servers, a proxy that injects faults, and sample buckets.
//!
//! Everything listens on 127.0.0.1 and stops with the test process.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod child;
pub mod environment;
pub mod fault;
pub mod feed;
pub mod message;
pub mod proxy;
pub mod server;
pub mod service;
pub mod settings;
pub mod trail;
