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

/// A URL as messages may show it: without what somebody may have written into it that is secret,
/// which is what stands before the host and behind the path.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) = match url.find("://") {
        Some(at) => url.split_at(at + 3),
        None => ("", url),
    };
    // A password may have any character in it, a host or a queue's path has no `@`.
    let place = rest.rsplit('@').next().unwrap_or_default();
    let place = place.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{place}")
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

    #[test]
    fn a_url_is_shown_without_its_secrets() {
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
