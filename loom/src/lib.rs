//! The plugin's memory budget and acknowledgement, compiled with loom's locks, atomics and threads, so that
//! `tests/models.rs` can run them in the orders that the memory model allows.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the models use a part")]

/// `src/object/memory_budget/mod.rs`
pub mod memory_budget {
    include!(concat!(env!("OUT_DIR"), "/memory_budget_mod.rs"));
}

/// `src/object/ack.rs`
pub mod ack {
    include!(concat!(env!("OUT_DIR"), "/ack.rs"));
}
