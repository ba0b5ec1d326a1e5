//! The C boundary: the functions of Falco's plugin API, and what they call.
//!
//! Every export does the same: a panic barrier ([`guard`]), pointer checks, one safe call. Raw pointers of the host become
//! Rust types in [`exports`] and [`input`]; no other module dereferences pointers of the host.

mod exports;
mod extraction;
mod guard;
mod input;
mod instance;
mod live_batches;
mod metadata;
mod state;
