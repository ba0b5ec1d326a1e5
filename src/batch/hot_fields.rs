//! The set of fields whose values a batch has, each with its column.
#![forbid(unsafe_code)]

/// Field numbers that a set can contain: those below this. A column's number is a byte.
pub const MAX_FIELDS: usize = 224;

/// Stands for no column.
const NONE: u8 = u8::MAX;

/// Fields that rules use for most events, by number. A field with an argument has a number of its own. Fixed in size, so that choosing them allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotFields {
    /// The field of each column.
    fields: [u8; MAX_FIELDS],
    /// Number of columns.
    len: usize,
    /// The column of each field, or [`NONE`].
    columns: [u8; MAX_FIELDS],
}

impl Default for HotFields {
    fn default() -> Self {
        HotFields {
            fields: [NONE; MAX_FIELDS],
            len: 0,
            columns: [NONE; MAX_FIELDS],
        }
    }
}

impl FromIterator<usize> for HotFields {
    /// Ignores repeated numbers and those from [`MAX_FIELDS`] on.
    fn from_iter<I: IntoIterator<Item = usize>>(fields: I) -> Self {
        let mut set = HotFields::default();
        for field in fields {
            if let Some(column) = set.columns.get_mut(field).filter(|it| **it == NONE) {
                *column = set.len as u8;
                set.fields[set.len] = field as u8;
                set.len += 1;
            }
        }
        set
    }
}

impl HotFields {
    /// The field numbers, column by column.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> {
        self.fields[..self.len]
            .iter()
            .map(|&field| usize::from(field))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set has no field.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The column of the field with this number; `None` if the set does not have it.
    #[inline]
    pub fn column(&self, field: usize) -> Option<usize> {
        match self.columns.get(field) {
            None | Some(&NONE) => None,
            Some(&column) => Some(usize::from(column)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_column_of_its_own() {
        let set: HotFields = [5, 3, 5, MAX_FIELDS - 1, MAX_FIELDS].into_iter().collect();
        assert_eq!(Vec::from_iter(set.iter()), [5, 3, MAX_FIELDS - 1]);
        assert_eq!(set.column(3), Some(1));
        assert_eq!(set.column(4), None);
        assert_eq!(set.column(MAX_FIELDS), None);
        assert_eq!(HotFields::from_iter(0..1000).len(), MAX_FIELDS);
    }
}
