//! How a value that somebody gave stands in a message: in quotes, on one line, and not at any length.
#![forbid(unsafe_code)]

/// Characters of a value that are shown.
const SHOWN: usize = 80;

/// `text` in double quotes, with line breaks and other control characters escaped and the end of
/// a long one left out.
pub(crate) fn quoted(text: &str) -> String {
    let head = shortened(text);
    if head.len() == text.len() {
        format!("{text:?}")
    } else {
        format!("{head:?}…")
    }
}

/// At most the first characters of `text` that a message has room for.
pub(crate) fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN).map(|(at, _)| at);
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_one_short_line() {
        assert_eq!(quoted("5d-2d"), r#""5d-2d""#);
        assert_eq!(quoted("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(
            quoted(&"é".repeat(SHOWN)),
            format!("\"{}\"", "é".repeat(SHOWN))
        );
        assert_eq!(
            quoted(&"é".repeat(9999)),
            format!("\"{}\"…", "é".repeat(SHOWN))
        );
    }
}
