//! Arguments of fields, compiled once so that each record only follows them.

use super::{FieldExtractor, Pattern, Pointer};

/// An argument, compiled for the field that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CompiledArgument {
    /// Index of a list.
    Index(u64),
    /// Argument of `ct.value` and `ct.num`.
    Pointer(Pointer),
    /// Argument of `ct.values`.
    Pattern(Pattern),
    /// A key that is no valid pointer: the field has no value.
    Invalid,
}

impl CompiledArgument {
    /// Compiles an index. `None` if the field takes none.
    pub(crate) fn index(extractor: FieldExtractor, index: u64) -> Option<Self> {
        matches!(extractor, FieldExtractor::List(_)).then_some(CompiledArgument::Index(index))
    }

    /// Compiles a key. `None` if the field takes none.
    pub(crate) fn key(extractor: FieldExtractor, key: &str) -> Option<Self> {
        let compiled = match extractor {
            FieldExtractor::Pointer | FieldExtractor::PointerNumber => {
                Pointer::compile(key).map(CompiledArgument::Pointer)
            }
            FieldExtractor::PointerList => Pattern::compile(key).map(CompiledArgument::Pattern),
            _ => return None,
        };
        Some(compiled.unwrap_or(CompiledArgument::Invalid))
    }
}
