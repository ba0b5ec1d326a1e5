//! Texts in which `*` stands for any text.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter};

use memchr::memmem::Finder;

/// A set of texts and patterns.
#[derive(Debug)]
pub(super) struct Globs {
    /// Texts without `*`, sorted.
    exact: Box<[Box<[u8]>]>,
    patterns: Box<[Glob]>,
    /// All of them, as configured.
    texts: Box<[Box<str>]>,
}

/// A text with at least one `*`.
#[derive(Debug)]
struct Glob {
    /// Before the first `*`.
    start: Box<[u8]>,
    /// Between two of them, without the empty ones.
    middle: Box<[Finder<'static>]>,
    /// After the last.
    end: Box<[u8]>,
}

impl Globs {
    pub(super) fn new(texts: Vec<String>) -> Globs {
        let (patterns, exact): (Vec<&String>, Vec<_>) =
            texts.iter().partition(|text| text.contains('*'));
        let mut exact: Vec<Box<[u8]>> = exact.iter().map(|text| text.as_bytes().into()).collect();
        exact.sort();
        exact.dedup();
        Globs {
            exact: exact.into(),
            patterns: patterns.iter().map(|text| Glob::new(text)).collect(),
            texts: texts.into_iter().map(String::into_boxed_str).collect(),
        }
    }

    /// Whether one of them matches the whole of `text`. Takes time in proportion to its length.
    #[inline]
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let is_exact = match &*self.exact {
            // The most frequent case, without a call.
            [only] => **only == *text,
            exact => exact.binary_search_by(|it| (**it).cmp(text)).is_ok(),
        };
        is_exact || self.patterns.iter().any(|pattern| pattern.matches(text))
    }

    /// Number of patterns, and of texts: a measure of how much they match.
    pub(super) fn breadth(&self) -> (usize, usize) {
        (self.patterns.len(), self.exact.len())
    }
}

impl Glob {
    fn new(text: &str) -> Glob {
        let (start, rest) = text.split_once('*').unwrap_or((text, ""));
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle = middle.split('*').filter(|part| !part.is_empty());
        Glob {
            start: start.as_bytes().into(),
            middle: middle
                .map(|part| Finder::new(part.as_bytes()).into_owned())
                .collect(),
            end: end.as_bytes().into(),
        }
    }

    fn matches(&self, text: &[u8]) -> bool {
        let rest = text.strip_prefix(&*self.start);
        let Some(mut rest) = rest.and_then(|rest| rest.strip_suffix(&*self.end)) else {
            return false;
        };
        // The first occurrence of each part leaves the most for the others.
        self.middle.iter().all(|part| match part.find(rest) {
            Some(at) => {
                rest = &rest[at + part.needle().len()..];
                true
            }
            None => false,
        })
    }
}

impl Display for Globs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, text) in self.texts.iter().enumerate() {
            write!(f, "{}{text:?}", if at > 0 { " or " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(patterns: &[&str], text: &str) -> bool {
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Globs::new(patterns).matches(text.as_bytes())
    }

    /// Tries every length for each `*`.
    fn expected(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skipped| expected(rest, &text[skipped..])),
            Some((first, rest)) => text
                .split_first()
                .is_some_and(|(byte, text)| byte == first && expected(rest, text)),
        }
    }

    #[test]
    fn star_stands_for_any_text_and_other_characters_for_themselves() {
        for (pattern, text, is_match) in [
            ("GetObject", "GetObject", true),
            ("GetObject", "getobject", false),
            ("Get*", "GetObject", true),
            ("Get*", "Get", true),
            ("*.amazonaws.com", "s3.amazonaws.com", true),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a?c", "abc", false),
            ("[a]", "a", false),
            ("**x**", "axb", true),
        ] {
            assert_eq!(matches(&[pattern], text), is_match, "{pattern} {text}");
        }
    }

    #[test]
    fn any_of_several_matches() {
        let patterns = ["GetObject", "Head*", "A", "GetObject"];
        for (text, is_match) in [
            ("GetObject", true),
            ("HeadBucket", true),
            ("A", true),
            ("B", false),
        ] {
            assert_eq!(matches(&patterns, text), is_match, "{text}");
        }
        assert!(!matches(&[], ""));
    }

    proptest! {
        #[test]
        fn patterns_match_what_a_simple_matcher_does(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&[&pattern], &text), expected(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
