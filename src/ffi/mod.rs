//! The plugin as its host sees it: the exported C functions and what stands behind them.
//!
//! Every export goes the same way: a panic barrier, the check of its pointers, one safe call.
//! `unsafe` stands here (and in the scanner's block code) and nowhere else in the library.

mod exports;
mod extraction;
mod guard;
mod instance;
mod metadata;
mod state;
