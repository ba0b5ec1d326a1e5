//! The values that an extraction gives, borrowed and owned.
#![forbid(unsafe_code)]

/// One value in the plugin's own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'v> {
    /// Text up to its NUL; UTF-8 by custom, not by promise.
    Str(&'v [u8]),
    /// A number, or a time in ns.
    U64(u64),
    /// Yes or no.
    Bool(bool),
    /// An address or network of 4 or 16 bytes.
    Bytes(&'v [u8]),
}

/// What a field gave for one event, copied out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text; UTF-8 by custom, not by promise.
    Str(Vec<u8>),
    /// A number, or a time in ns.
    U64(u64),
    /// Yes or no.
    Bool(bool),
    /// An address or network of 4 or 16 bytes.
    Bytes(Vec<u8>),
    /// The values of a list of strings.
    StrList(Vec<Vec<u8>>),
    /// The values of a list of another type.
    List(Vec<Value>),
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Value {
        match value {
            ValueRef::Str(text) => Value::Str(text.to_vec()),
            ValueRef::U64(number) => Value::U64(number),
            ValueRef::Bool(yes) => Value::Bool(yes),
            ValueRef::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.as_bytes().to_vec())
    }
}
