//! Falco plugin for AWS CloudTrail logs.

pub mod error;
