//! Values of extracted fields, borrowed from the plugin or owned.
#![forbid(unsafe_code)]

/// One value, borrowed from the plugin's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValueRef<'v> {
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
pub enum FieldValue {
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
    List(Vec<FieldValue>),
}

impl From<FieldValueRef<'_>> for FieldValue {
    fn from(value: FieldValueRef<'_>) -> FieldValue {
        match value {
            FieldValueRef::Str(text) => FieldValue::Str(text.to_vec()),
            FieldValueRef::U64(number) => FieldValue::U64(number),
            FieldValueRef::Bool(flag) => FieldValue::Bool(flag),
            FieldValueRef::Bytes(bytes) => FieldValue::Bytes(bytes.to_vec()),
        }
    }
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> FieldValue {
        FieldValue::Str(text.as_bytes().to_vec())
    }
}
