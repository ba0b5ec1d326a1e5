//! The fields that rules are written on: what they are called, and what their values are.
//!
//! Must not know of files, batches or the host: a field is a function of a record.
#![forbid(unsafe_code)]

mod info;
mod pointer;
mod rules;
mod table;
mod value;
mod verbs;

pub use info::summary;
pub use pointer::Pointer;
pub use rules::{ec2_image_ids, flag};
pub use table::{Arg, FIELDS, Field, Kind, Property, Rule};
pub use value::{View, append_text, plain_text};
