//! Formats untrusted values for messages: quoted, on one line, truncated, secrets redacted.
#![forbid(unsafe_code)]

/// Maximum number of characters shown of a value.
const MAX_CHARS: usize = 80;

/// `text` in double quotes, with control characters escaped, truncated.
pub(crate) fn quoted(text: &str) -> String {
    quoted_up_to(text, MAX_CHARS)
}

/// The same with up to `chars` characters of `text`, for names that have to be complete.
pub(crate) fn quoted_up_to(text: &str, chars: usize) -> String {
    let (head, ellipsis) = split_head(text, chars);
    format!("{head:?}{ellipsis}")
}

/// `text` truncated, with an ellipsis if anything is missing.
pub(crate) fn truncated(text: &str) -> String {
    let (head, ellipsis) = split_head(text, MAX_CHARS);
    format!("{head}{ellipsis}")
}

fn split_head(text: &str, chars: usize) -> (&str, &str) {
    match text.char_indices().nth(chars) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    }
}

/// A URL without its user info, query and fragment, which may be secret.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) = match url.find("://") {
        Some(at) => url.split_at(at + 3),
        None => ("", url),
    };
    // A password may contain any character; a host or a queue's path contains no `@`.
    let address = rest.rsplit('@').next().unwrap_or_default();
    let address = address.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_value_is_one_line_of_limited_length() {
        assert_eq!(quoted("5d-2d"), r#""5d-2d""#);
        assert_eq!(quoted("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(
            quoted(&"é".repeat(MAX_CHARS)),
            format!("\"{}\"", "é".repeat(MAX_CHARS))
        );
        assert_eq!(
            quoted(&"é".repeat(9999)),
            format!("\"{}\"…", "é".repeat(MAX_CHARS))
        );
    }

    #[test]
    fn user_info_query_and_fragment_are_redacted() {
        for (url, shown) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/1/q",
                "https://sqs.eu-west-1.amazonaws.com/1/q",
            ),
            ("http://user:pass@127.0.0.1:4566/", "http://127.0.0.1:4566/"),
            (
                "http://user:p/a?s#s@w@host/1/q?X-Amz-Signature=x#y",
                "http://host/1/q",
            ),
            ("user:pass@host/1/q", "host/1/q"),
            ("my-queue", "my-queue"),
            ("", ""),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
