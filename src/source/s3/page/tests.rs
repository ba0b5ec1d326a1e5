//! Each way in which a page can be wrong, and that a sound one is not refused.

use super::*;
use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2OutputBuilder;
use aws_sdk_s3::types::{CommonPrefix, Object};

fn page(keys: &[&str]) -> ListObjectsV2OutputBuilder {
    let objects = keys
        .iter()
        .map(|key| Object::builder().key(*key).size(7).build());
    ListObjectsV2Output::builder()
        .is_truncated(false)
        .set_contents(Some(objects.collect()))
}

fn folders(page: ListObjectsV2OutputBuilder, folders: &[&str]) -> ListObjectsV2OutputBuilder {
    let folders = folders
        .iter()
        .map(|prefix| CommonPrefix::builder().prefix(*prefix).build());
    page.set_common_prefixes(Some(folders.collect()))
}

fn truncated(page: ListObjectsV2OutputBuilder, token: &str) -> ListObjectsV2OutputBuilder {
    page.is_truncated(true).next_continuation_token(token)
}

fn accept(listing: &mut Listing, page: ListObjectsV2OutputBuilder) -> Result<Page, String> {
    listing.accept(&page.build(), true, None)
}

fn keys(page: &Page) -> Vec<&str> {
    page.objects
        .iter()
        .map(|object| object.key.as_str())
        .collect()
}

/// What a new listing of `a/` says about its first page.
fn refusal(page: ListObjectsV2OutputBuilder) -> String {
    accept(&mut Listing::new("a/", true), page).expect_err("a page that must not be used")
}

#[test]
fn sound_pages_are_accepted_to_the_end() {
    let mut listing = Listing::new("a/", true);
    let first = folders(page(&["a/", "a/1", "a/é"]), &["a/b/", "a/c/"]).key_count(5);
    let first = accept(&mut listing, truncated(first, "t2")).expect("a page");
    assert_eq!(keys(&first), ["a/", "a/1", "a/é"]);
    assert_eq!(first.objects[1].size, 7);
    assert_eq!(
        (first.folders.len(), first.next.as_deref()),
        (2, Some("t2"))
    );
    // Tokens are opaque: their order says nothing. A page may be empty.
    let second = accept(&mut listing, truncated(page(&[]), "t1")).expect("a page");
    assert_eq!(
        second,
        Page {
            next: Some("t1".to_owned()),
            ..Page::default()
        }
    );
    let last = folders(page(&["a/\u{10000}"]), &["a/d/"]);
    assert_eq!(accept(&mut listing, last).expect("a page").next, None);
}

#[test]
fn keys_must_increase_by_their_bytes_within_a_page_and_between_pages() {
    assert!(refusal(page(&["a/2", "a/1"])).contains("\"a/1\" is not in order: it follows \"a/2\""));
    assert!(refusal(page(&["a/1", "a/1"])).contains("not in order"));
    // In UTF-16, which some servers sort by, these two are the other way round.
    assert!(refusal(page(&["a/\u{10000}", "a/\u{ff5e}"])).contains("not in order"));
    assert!(refusal(folders(page(&[]), &["a/c/", "a/b/"])).contains("common prefix"));
    let mut listing = Listing::new("a/", true);
    let first = truncated(folders(page(&["a/3"]), &["a/c/"]), "t");
    accept(&mut listing, first).expect("a page");
    for next in [
        page(&["a/2"]),
        page(&["a/3"]),
        folders(page(&["a/4"]), &["a/c/"]),
    ] {
        let error = accept(&mut listing, next).expect_err("a page out of order");
        assert!(error.contains("not in order"), "{error}");
    }
    // Keys and common prefixes are each in order on their own; a refused page has changed nothing.
    let next = folders(page(&["a/4"]), &["a/d/"]);
    assert_eq!(keys(&accept(&mut listing, next).expect("a page")), ["a/4"]);
}

#[test]
fn keys_must_have_the_prefix_and_come_after_the_start() {
    assert!(refusal(page(&["a/1", "b/1"])).contains("\"b/1\" does not have the prefix"));
    assert!(refusal(folders(page(&[]), &["b/"])).contains("does not have the prefix"));
    let mut listing = Listing::new("a/", false);
    for (key, sound) in [("a/1", false), ("a/2", false), ("a/3", true)] {
        let page = page(&[key]).build();
        assert_eq!(
            listing.accept(&page, true, Some("a/2")).is_ok(),
            sound,
            "{key}"
        );
    }
}

#[test]
fn common_prefixes_come_only_where_they_are_asked_for() {
    assert!(refusal(folders(page(&[]), &["a/b"])).contains("not asked for"));
    let mut plain = Listing::new("a/", false);
    assert!(accept(&mut plain, folders(page(&[]), &["a/b/"])).is_err());
}

#[test]
fn the_key_count_must_be_right_if_present() {
    for (count, sound) in [
        (2, false),
        (3, true),
        (4, false),
        (-1, false),
        (1000, false),
    ] {
        let page = folders(page(&["a/1", "a/2"]), &["a/b/"]).key_count(count);
        let accepted = accept(&mut Listing::new("a/", true), page);
        assert_eq!(accepted.is_ok(), sound, "{count}: {accepted:?}");
    }
}

#[test]
fn there_is_a_token_exactly_if_the_page_is_truncated() {
    assert!(refusal(page(&[]).is_truncated(true)).contains("no token"));
    assert!(refusal(truncated(page(&[]), "")).contains("no token"));
    assert!(refusal(page(&[]).next_continuation_token("t")).contains("there is a token"));
    assert!(refusal(page(&[]).set_is_truncated(None)).contains("IsTruncated is missing"));
}

#[test]
fn a_token_that_comes_again_does_not_make_a_loop() {
    let mut listing = Listing::new("a/", true);
    accept(&mut listing, truncated(page(&["a/1"]), "t1")).expect("a page");
    accept(&mut listing, truncated(page(&["a/2"]), "t2")).expect("a page");
    let error = accept(&mut listing, truncated(page(&["a/3"]), "t1")).expect_err("a loop");
    assert!(error.contains("used before"), "{error}");
    // Empty pages do not hide it.
    assert!(accept(&mut listing, truncated(page(&[]), "t2")).is_err());
    accept(&mut listing, truncated(page(&["a/3"]), "t3")).expect("a page");
}

#[test]
fn incomplete_xml_is_refused_whatever_it_holds() {
    let page = page(&["a/1"]).build();
    assert!(Listing::new("a/", true).accept(&page, false, None).is_err());
}

#[test]
fn keys_are_decoded_if_the_answer_says_that_they_are_encoded() {
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
        let accepted = accept(&mut Listing::new("a/", true), page).ok();
        let key = accepted.as_ref().map(|page| keys(page)[0]);
        assert_eq!(key, expected);
    }
    // The order is that of the keys, not that of their encoded forms.
    let page = page(&["a/+", "a/%21"]).encoding_type(EncodingType::Url);
    let accepted = accept(&mut Listing::new("a/", true), page).expect("a page");
    assert_eq!(keys(&accepted), ["a/ ", "a/!"]);
}
