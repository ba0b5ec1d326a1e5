//! Pages, damaged pages and keys of listings.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use cloudtrail::host::Severity;

use super::{BUCKET, LAYOUT, LAYOUTS, ROOT, ROOTS, TRAIL, assert_same, expected_ids, is_log};
use crate::aws::fault::{Fault, Rewrite, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT};
use crate::aws::proxy::Proxy;
use crate::aws::server::moto;
use crate::aws::service::Service;
use crate::aws::settings::Settings;
use crate::aws::trail::{self, ACCOUNTS, LogKind, Object};
use crate::fixture::{proxy, service, settings};
use crate::support::scratch::{gzip, plain_log};

pub fn short_pages_make_no_difference() {
    let objects = &*TRAIL;
    let proxy = proxy();
    proxy.keys_per_page(3);
    let all = Feed::new(&Settings::at(proxy.address));
    let ids = all.read_all(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    assert_same(&ids, &expected_ids(objects, is_log), "AWSLogs/");
    assert!(
        proxy.count("ListObjectsV2") > 1320 / 3,
        "the pages were not short"
    );

    let days = Settings::at(proxy.address)
        .with("s3Interval", "2026-01-28T00:00:00Z-2026-01-29T23:59:59Z")
        .with("s3AccountList", "444455556666")
        .with("includeInsights", true);
    let expected = expected_ids(objects, |object| {
        object.account == "444455556666"
            && ["20260128", "20260129"].contains(&&object.time[..8])
            && [LogKind::CloudTrail, LogKind::Insight].contains(&object.kind)
    });
    let feed = Feed::new(&days);
    for prefix in ["trail/AWSLogs/", "trail/", ""] {
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &expected,
            prefix,
        );
    }
}

/// Reads a bucket of 30 objects below `AWSLogs/1/` in pages of ten keys through a proxy with `rule` for listings.
fn listing_with(name: &str, rule: impl FnOnce() -> Rule) -> (Vec<String>, Feed, Proxy) {
    let service = service();
    service.create_bucket(name);
    for number in 0..30 {
        let log = gzip(&plain_log(&format!("{number:02}-"), 1));
        service.put(name, &format!("AWSLogs/1/{number:02}.json.gz"), log);
    }
    let proxy = proxy();
    proxy.keys_per_page(10);
    proxy.rule(rule());
    let feed = Feed::new(&Settings::at(proxy.address));
    let read = feed.read_all(&format!("s3://{name}/AWSLogs/1/"));
    (read, feed, proxy)
}

pub fn incomplete_page_is_requested_again() {
    let all: Vec<String> = (0..30).map(|number| format!("{number:02}-0")).collect();
    let cut_in_a_tag = |page: &str| page[..page.len() * 2 / 3].to_owned();
    let cut_between_objects = |page: &str| {
        let end = page
            .match_indices("</Contents>")
            .nth(4)
            .map(|(at, end)| at + end.len());
        page[..end.unwrap_or(page.len())].to_owned()
    };
    let wrong_count = |page: &str| page.replace("<KeyCount>10<", "<KeyCount>11<");
    let no_token = |page: &str| page.replace("NextContinuationToken", "Other");
    let end = |page: &str| page.replace("<IsTruncated>true<", "<IsTruncated>false<");
    let rewrites: [(&str, Rewrite); 5] = [
        ("cut-in-a-tag", cut_in_a_tag),
        ("cut-between", cut_between_objects),
        ("wrong-count", wrong_count),
        ("no-token", no_token),
        ("early-end", end),
    ];
    for (name, rewrite) in rewrites {
        // The first two listings are the check at open and the search for accounts below the prefix.
        let rule = || {
            Rule::every("ListObjectsV2", Fault::Rewrite(rewrite))
                .after(2)
                .times(2)
        };
        let (read, feed, _) = listing_with(name, rule);
        assert_same(&read, &all, name);
        assert_eq!(feed.metric("errors.list"), 0, "{name}");
        assert_eq!(feed.logged(Severity::Error), [""; 0], "{name}");
    }
}

pub fn keys_of_any_characters_are_listed_and_read() {
    let service = service();
    let bucket = "odd-keys";
    service.create_bucket(bucket);
    let keys = [
        "a b+c",
        "a%20b%2B",
        "&amp;<>'\"",
        "line\nbreak\u{1}\u{7f}",
        "tab\tand\r",
        "\u{10000}\u{ff5e}",
    ];
    for (number, key) in keys.iter().enumerate() {
        let log = gzip(&plain_log(&format!("{number}-"), 1));
        service.put(bucket, &format!("{key}.json.gz"), log);
    }
    let feed = Feed::new(&settings());
    let expected: Vec<String> = (0..keys.len())
        .map(|number| format!("{number}-0"))
        .collect();
    let mut read = feed.read_all(&format!("s3://{bucket}"));
    read.sort_unstable();
    assert_eq!(read, expected);
    assert_eq!(feed.logged(Severity::Warning), [""; 0]);
}

pub fn reading_starts_with_the_first_page() {
    LazyLock::force(&TRAIL);
    let proxy = proxy();
    proxy.keys_per_page(20);
    // The first two listings are the check at open and the first page.
    let later = Rule::every("ListObjectsV2", Fault::Delay(2 * STEP_TIMEOUT));
    proxy.rule(later.of(BUCKET).after(2));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!(
        "s3://{BUCKET}/{ROOT}111122223333/CloudTrail/us-east-1/2026/01/"
    ));
    let came = reading.until(STEP_TIMEOUT, |ids| ids.len() >= 15);
    assert!(came, "{} events before the second page", reading.ids.len());
}

pub fn only_the_prefix_is_listed() {
    let objects = &*LAYOUT;
    let root = ROOTS[4];
    let proxy = proxy();
    let feed = Feed::new(&Settings::at(proxy.address));
    let expected = expected_ids(objects, |object| object.key.starts_with(root));
    assert_same(
        &feed.read_all(&format!("s3://{LAYOUTS}/{root}")),
        &expected,
        root,
    );
    // An IAM policy may allow `s3:ListBucket` for this prefix only.
    let prefix = format!("prefix={}", root.replace('/', "%2F"));
    for seen in proxy.seen() {
        if seen.operation == "ListObjectsV2" {
            assert!(seen.query.contains(&prefix), "{}", seen.query);
        }
    }
}

pub fn moto_gives_the_same_objects() {
    let bucket = "agreed-trail";
    let root = "AWSLogs/o-exampleorg/";
    let some = |object: &Object| ["20260131", "20260201"].contains(&&object.time[..8]);
    let objects: Vec<Object> = trail::objects(root, 1, true)
        .into_iter()
        .filter(some)
        .collect();
    trail::fill(&Service::at(moto().address), bucket, &objects);
    let feed = Feed::new(&Settings::at(moto().address));
    let all = expected_ids(&objects, is_log);
    assert_same(
        &feed.read_all(&format!("s3://{bucket}/AWSLogs/")),
        &all,
        "all",
    );

    let settings = Settings::at(moto().address)
        .with("s3Interval", "2026-02-01T00:00:00Z")
        .with("s3AccountList", ACCOUNTS[1]);
    let few = expected_ids(&objects, |object| {
        is_log(object) && object.account == ACCOUNTS[1] && object.time.starts_with("20260201")
    });
    let feed = Feed::new(&settings);
    for prefix in ["AWSLogs/", root, ""] {
        assert_same(
            &feed.read_all(&format!("s3://{bucket}/{prefix}")),
            &few,
            prefix,
        );
    }
}
