//! One test for each way in which a page can be invalid, and tests that valid pages are accepted.

use super::*;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2OutputBuilder;
use aws_sdk_s3::types::{CommonPrefix, EncodingType, Object};

fn page(keys: &[&str]) -> ListObjectsV2OutputBuilder {
    let objects = keys
        .iter()
        .map(|key| Object::builder().key(*key).size(7).build());
    ListObjectsV2Output::builder()
        .is_truncated(false)
        .set_contents(Some(objects.collect()))
}

fn with_prefixes(
    page: ListObjectsV2OutputBuilder,
    prefixes: &[&str],
) -> ListObjectsV2OutputBuilder {
    let prefixes = prefixes
        .iter()
        .map(|prefix| CommonPrefix::builder().prefix(*prefix).build());
    page.set_common_prefixes(Some(prefixes.collect()))
}

fn truncated(page: ListObjectsV2OutputBuilder, token: &str) -> ListObjectsV2OutputBuilder {
    page.is_truncated(true).next_continuation_token(token)
}

fn accept(validator: &mut PageValidator, page: ListObjectsV2OutputBuilder) -> Result<Page, String> {
    validator.accept(ListAnswer::of_sdk(page.build(), true), None)
}

fn keys(page: &Page) -> Vec<&str> {
    page.objects
        .iter()
        .map(|object| object.key.as_str())
        .collect()
}

/// The problem of the first page of a listing of `a/`.
fn refusal(page: ListObjectsV2OutputBuilder) -> String {
    accept(&mut PageValidator::new("a/", true), page).expect_err("a page that must not be used")
}

#[test]
fn valid_pages_are_accepted_to_the_end() {
    let mut validator = PageValidator::new("a/", true);
    let first = with_prefixes(page(&["a/", "a/1", "a/é"]), &["a/b/", "a/c/"]).key_count(5);
    let first = accept(&mut validator, truncated(first, "t2")).expect("a page");
    assert_eq!(keys(&first), ["a/", "a/1", "a/é"]);
    assert_eq!(first.objects[1].size, 7);
    assert_eq!(
        (first.common_prefixes.len(), first.next_token.as_deref()),
        (2, Some("t2"))
    );
    // Tokens are opaque: their order says nothing. A page may be empty.
    let second = accept(&mut validator, truncated(page(&[]), "t1")).expect("a page");
    assert_eq!(
        second,
        Page {
            next_token: Some("t1".to_owned()),
            ..Page::default()
        }
    );
    let last = with_prefixes(page(&["a/\u{10000}"]), &["a/d/"]);
    assert_eq!(
        accept(&mut validator, last).expect("a page").next_token,
        None
    );
}

#[test]
fn keys_must_increase_by_their_bytes_within_a_page_and_between_pages() {
    assert!(refusal(page(&["a/2", "a/1"])).contains("\"a/1\" is not in order: it follows \"a/2\""));
    assert!(refusal(page(&["a/1", "a/1"])).contains("not in order"));
    // In UTF-16, which some servers sort by, these two are the other way round.
    assert!(refusal(page(&["a/\u{10000}", "a/\u{ff5e}"])).contains("not in order"));
    assert!(refusal(with_prefixes(page(&[]), &["a/c/", "a/b/"])).contains("common prefix"));
    let mut validator = PageValidator::new("a/", true);
    let first = truncated(with_prefixes(page(&["a/3"]), &["a/c/"]), "t");
    accept(&mut validator, first).expect("a page");
    for next in [
        page(&["a/2"]),
        page(&["a/3"]),
        with_prefixes(page(&["a/4"]), &["a/c/"]),
    ] {
        let error = accept(&mut validator, next).expect_err("a page out of order");
        assert!(error.contains("not in order"), "{error}");
    }
    // Keys and common prefixes are each in order on their own; a refused page has changed nothing.
    let next = with_prefixes(page(&["a/4"]), &["a/d/"]);
    assert_eq!(
        keys(&accept(&mut validator, next).expect("a page")),
        ["a/4"]
    );
}

#[test]
fn keys_must_have_the_prefix_and_come_after_the_start() {
    assert!(refusal(page(&["a/1", "b/1"])).contains("\"b/1\" does not have the prefix"));
    assert!(refusal(with_prefixes(page(&[]), &["b/"])).contains("does not have the prefix"));
    let mut validator = PageValidator::new("a/", false);
    for (key, valid) in [("a/1", false), ("a/2", false), ("a/3", true)] {
        let page = ListAnswer::of_sdk(page(&[key]).build(), true);
        assert_eq!(validator.accept(page, Some("a/2")).is_ok(), valid, "{key}");
    }
}

#[test]
fn unrequested_common_prefixes_are_rejected() {
    assert!(refusal(with_prefixes(page(&[]), &["a/b"])).contains("not requested"));
    let mut plain = PageValidator::new("a/", false);
    assert!(accept(&mut plain, with_prefixes(page(&[]), &["a/b/"])).is_err());
}

#[test]
fn the_key_count_must_be_right_if_present() {
    for (count, valid) in [
        (2, false),
        (3, true),
        (4, false),
        (-1, false),
        (1000, false),
    ] {
        let page = with_prefixes(page(&["a/1", "a/2"]), &["a/b/"]).key_count(count);
        let accepted = accept(&mut PageValidator::new("a/", true), page);
        assert_eq!(accepted.is_ok(), valid, "{count}: {accepted:?}");
    }
}

#[test]
fn continuation_token_is_required_exactly_if_the_page_is_truncated() {
    assert!(refusal(page(&[]).is_truncated(true)).contains("no continuation token"));
    assert!(refusal(truncated(page(&[]), "")).contains("no continuation token"));
    assert!(
        refusal(page(&[]).next_continuation_token("t")).contains("there is a continuation token")
    );
    assert!(refusal(page(&[]).set_is_truncated(None)).contains("IsTruncated is missing"));
}

#[test]
fn repeated_continuation_token_is_rejected() {
    let mut validator = PageValidator::new("a/", true);
    accept(&mut validator, truncated(page(&["a/1"]), "t1")).expect("a page");
    accept(&mut validator, truncated(page(&["a/2"]), "t2")).expect("a page");
    let error = accept(&mut validator, truncated(page(&["a/3"]), "t1")).expect_err("a loop");
    assert!(error.contains("already used"), "{error}");
    // Empty pages do not hide it.
    assert!(accept(&mut validator, truncated(page(&[]), "t2")).is_err());
    accept(&mut validator, truncated(page(&["a/3"]), "t3")).expect("a page");
}

#[test]
fn incomplete_xml_is_rejected_whatever_it_holds() {
    let page = ListAnswer::of_sdk(page(&["a/1"]).build(), false);
    let mut validator = PageValidator::new("a/", true);
    assert!(validator.accept(page, None).is_err());
}

#[test]
fn keys_are_decoded_if_the_page_is_encoded() {
    for (encoding, key, expected) in [
        (
            Some(EncodingType::Url),
            "a/b+c%2Bd%25%01%0A%C3%A9",
            Some("a/b c+d%\u{1}\né"),
        ),
        (None, "a/b+c%2B", Some("a/b+c%2B")),
        (Some(EncodingType::Url), "a/%FF", None),
    ] {
        let page = page(&[key]).set_encoding_type(encoding);
        let accepted = accept(&mut PageValidator::new("a/", true), page).ok();
        let key = accepted.as_ref().map(|page| keys(page)[0]);
        assert_eq!(key, expected);
    }
    // The order is that of the keys, not that of their encoded forms.
    let page = page(&["a/+", "a/%21"]).encoding_type(EncodingType::Url);
    let accepted = accept(&mut PageValidator::new("a/", true), page).expect("a page");
    assert_eq!(keys(&accepted), ["a/ ", "a/!"]);
}

#[test]
fn endless_empty_pages_are_an_error() {
    let mut validator = PageValidator::new("a/", true);
    for number in 0..MAX_EMPTY_PAGES {
        let empty = truncated(page(&[]), &number.to_string());
        accept(&mut validator, empty).expect("some empty pages are normal");
    }
    let problem = accept(&mut validator, truncated(page(&[]), "next")).expect_err("too many");
    assert!(problem.contains("empty pages"), "{problem}");
    let last = accept(&mut validator, page(&["a/1"])).expect("a page with a key");
    assert_eq!(keys(&last), ["a/1"]);
}
