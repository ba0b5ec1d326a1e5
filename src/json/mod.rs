//! JSON: one pass writes a *tape* of structural positions, values are read through it on demand.
//!
//! A CloudTrail record is scanned once, while its end is searched; `scanner.rs` explains
//! how. Every later access to one of its values is a look-up in the tape. Strings are unescaped
//! and numbers converted by their reader, so bytes inside a value never make a record unreadable:
//! the scanner looks at braces, brackets, quotes and backslashes only.
//!
//! # The tape
//!
//! A tape has two tables. *Entries* are byte offsets (`u32`) from the record's first byte, in
//! ascending order:
//!
//! | In the text | Entries | Offsets of |
//! |---|---|---|
//! | `{…}` object, `[…]` array | 2, around those of its content | both brackets |
//! | `"…"` string, key or value | 2 | both quotes |
//! | number, `true`, `false`, `null`, anything else unquoted | 1 | the first byte |
//! | `,` `:` white space | 0 | |
//!
//! *Containers* are the objects and arrays, in the order of their opening brackets, three `u32` each:
//!
//! | Field | Meaning |
//! |---|---|
//! | `open` | entry of the opening bracket |
//! | `close` | entry of the closing bracket |
//! | `next` | number of the first container that opens after `close`: skips a container with all that it contains |
//!
//! For example:
//!
//! ```text
//! text    {"id":"a1","n":[7,true]}
//! entry   01  2 3  4 5 6 78 9   ab       (hexadecimal)
//!
//! entry: offset   0: 0   1: 1   2: 4   3: 6   4: 9   5: 11   6: 13   7: 15   8: 16   9: 18   10: 22   11: 23
//! containers      0: open 0, close 11, next 2
//!                 1: open 7, close 10, next 2
//! ```
//!
//! A [`Value`] is the number of its first entry; its type follows from the byte at that entry's
//! offset. A member's value starts two entries after its key. A value is skipped by adding 2
//! (string) or 1 (scalar) to its entry, or by going to `close + 1` (container).
//!
//! This module knows JSON and nothing of CloudTrail.

mod scanner;
mod simd;
mod tape;
pub mod text;
mod value;

#[cfg(test)]
pub(crate) use scanner::MAX_CONTAINERS;
pub use scanner::{Scan, Scanner};
pub use tape::{TapeBuffer, TapeSpan};
pub use value::{Tape, Value, ValueType};

pub(crate) use value::scalar_len;
