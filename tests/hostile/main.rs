//! Hostile files, made here, through the plugin library: what is whole arrives, what is not is counted, nothing fails,
//! and neither time nor memory goes without bound.
#![forbid(unsafe_code)]

mod bombs;
mod damage;
mod given;
#[path = "../oracle/mod.rs"]
mod oracle;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod tree;
