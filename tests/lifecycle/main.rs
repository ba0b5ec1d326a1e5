//! The library's lifetime in a host: load, open, close, fork, unload, in every order and under limits, without leaks,
//! and with returned texts valid for as long as the API promises.

#[path = "../aws/mod.rs"]
mod aws;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod fork;
mod instances;
#[path = "../oracle/mod.rs"]
mod oracle;
mod process;
#[path = "../raw/mod.rs"]
mod raw;
mod returned_texts;
#[path = "../support/mod.rs"]
mod support;
mod thread_limits;
mod unload;
