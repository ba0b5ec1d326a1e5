//! Counts what decoding and extraction allocate: no allocation per event, and no more memory per object than it acquires
//! from the memory budget.

mod allocator;
#[path = "../../benches/corpus/mod.rs"]
mod corpus;
mod events;
mod memory_bound;

use cloudtrail::testing::Limits;

const LIMITS: Limits = Limits {
    max_object_bytes: 1 << 30,
    insights: false,
};
