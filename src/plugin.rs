//! The plugin as its host sees it: the exported C functions and what stands behind them.
//!
//! Every export goes the same way: a panic barrier, the check of its pointers, one safe call.
//! `unsafe` stands here (and in the scanner's block code) and nowhere else in the library.

mod api;
mod extraction;
mod guard;
mod info;
mod network;
mod open;
mod source;
mod state;
