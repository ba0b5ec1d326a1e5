//! Hostile files through the plugin library: complete records are delivered, damage is counted, the source does not
//! fail, and time and memory stay bounded.
#![forbid(unsafe_code)]

mod bombs;
mod damage;
#[path = "../oracle/mod.rs"]
mod oracle;
mod read_source;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod tree;
