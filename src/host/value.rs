//! Values of extracted fields, borrowed from the plugin or owned.
#![forbid(unsafe_code)]

/// One value, borrowed from the plugin's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'v> {
    /// Text without its terminating NUL. Usually UTF-8, but the plugin API does not require it.
    Str(&'v [u8]),
    /// A number, or a time in nanoseconds.
    U64(u64),
    /// A boolean.
    Bool(bool),
    /// An IP address or network, 4 or 16 bytes.
    Bytes(&'v [u8]),
}

/// An owned copy of a field's value for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedValue {
    /// Text. Usually UTF-8, but the plugin API does not require it.
    Str(Vec<u8>),
    /// A number, or a time in nanoseconds.
    U64(u64),
    /// A boolean.
    Bool(bool),
    /// An IP address or network, 4 or 16 bytes.
    Bytes(Vec<u8>),
    /// The elements of a string list.
    StrList(Vec<Vec<u8>>),
    /// The elements of a list of any other type.
    List(Vec<OwnedValue>),
}

impl From<ValueRef<'_>> for OwnedValue {
    fn from(value: ValueRef<'_>) -> OwnedValue {
        match value {
            ValueRef::Str(text) => OwnedValue::Str(text.to_vec()),
            ValueRef::U64(number) => OwnedValue::U64(number),
            ValueRef::Bool(flag) => OwnedValue::Bool(flag),
            ValueRef::Bytes(bytes) => OwnedValue::Bytes(bytes.to_vec()),
        }
    }
}

impl From<&str> for OwnedValue {
    fn from(text: &str) -> OwnedValue {
        OwnedValue::Str(text.as_bytes().to_vec())
    }
}
