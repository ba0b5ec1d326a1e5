//! `s3://`: which objects of a bucket are read, in which order and how fast, and what stops it at open.
#![forbid(unsafe_code)]

mod aws;
mod oracle;
mod support;

use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws::child;
use aws::fault::{Fault, Rewrite, Rule};
use aws::feed::{Feed, PATIENCE};
use aws::message::Message;
use aws::proxy::{FOR_EVER, Proxy};
use aws::server::{closed_address, ministack, moto};
use aws::service::Service;
use aws::settings::Settings;
use aws::trail::{self, ACCOUNTS, Kind, Object, REGIONS};
use cloudtrail::host::{Severity, Status};
use support::scratch::{gzip, plain_log};

const ROOT: &str = "trail/AWSLogs/o-exampleorg/";

/// The bucket of an organization's trail: 2,040 objects, 1,320 of them CloudTrail's logs.
const BUCKET: &str = "organization-trail";

static TRAIL: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let objects = trail::objects(ROOT, 11, true);
    trail::fill(&service(), BUCKET, &objects);
    objects
});

/// One log in each account, region and day, below roots of every kind.
const LAYOUTS: &str = "every-layout";
const ROOTS: [&str; 6] = [
    "AWSLogs/",
    "AWSLogs/o-exampleorg/",
    "o-exampleorg/AWSLogs/",
    "o-exampleorg/AWSLogs/o-exampleorg/",
    "team/a/AWSLogs/",
    "tëam b+c &%25=?#'\"/AWSLogs/",
];

static LAYOUT: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let below = |root: &&str| trail::objects(root, 1, false);
    let objects: Vec<Object> = ROOTS.iter().flat_map(below).collect();
    trail::fill(&service(), LAYOUTS, &objects);
    objects
});

fn service() -> Service {
    Service::at(ministack().address)
}

fn settings() -> Settings {
    Settings::at(ministack().address)
}

/// The eventIDs of the objects that are to be read, in the order of keys.
fn wanted(objects: &[Object], mut wanted: impl FnMut(&Object) -> bool) -> Vec<String> {
    let mut objects: Vec<&Object> = objects.iter().filter(|object| wanted(object)).collect();
    objects.sort_by_key(|object| &object.key);
    objects.into_iter().map(Object::id).collect()
}

fn is_log(object: &Object) -> bool {
    object.kind == Kind::CloudTrail
}

/// Compares without printing thousands of keys.
fn assert_same(read: &[String], wanted: &[String], what: &str) {
    let first = read
        .iter()
        .zip(wanted)
        .find(|(read, wanted)| read != wanted);
    assert!(
        first.is_none() && read.len() == wanted.len(),
        "{what}: {} events instead of {}, first difference {first:?}, first event {:?}",
        read.len(),
        wanted.len(),
        read.first()
    );
    assert!(
        !wanted.is_empty() || what.contains("nothing"),
        "{what}: this compares nothing"
    );
}

#[test]
fn a_bucket_is_read_in_the_order_of_its_keys_without_its_neighbours_logs() {
    let objects = &*TRAIL;
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    reading.until_end();
    assert_same(&reading.ids, &wanted(objects, is_log), "AWSLogs/");
    assert_eq!(reading.once(), Status::Eof, "an end stays an end");
    assert_eq!(feed.metric("objects"), reading.ids.len() as u64);
    assert!(feed.metric("requests") > reading.ids.len() as u64);
    assert_eq!(feed.logged(Severity::Warning), [""; 0]);
    let opened = &feed.logged(Severity::Info)[0];
    for part in [BUCKET, "us-east-1", "32"] {
        assert!(opened.contains(part), "{opened}");
    }
}

#[test]
fn a_prefix_may_end_anywhere() {
    let objects = &*TRAIL;
    let midnight = "2026-02-01T00:00:00Z-2026-02-01T01:00:00Z";
    let account = format!("{ROOT}444455556666/");
    let region = format!("{account}CloudTrail/us-east-1/");
    let key = trail::log_key(
        ROOT,
        "444455556666",
        "us-east-1",
        "20260201T0000",
        "Xq7mNb2Kp9Rt4W00",
    );
    let feed = Feed::new(&settings().with("s3Interval", midnight));
    for prefix in [
        "",
        "trail",
        "trail/",
        "trail/AWS",
        "trail/AWSLogs",
        "trail/AWSLogs/",
        "trail/AWSLogs/o-",
        "trail/AWSLogs/o-exampleorg",
        ROOT,
        &format!("{ROOT}4444"),
        account.trim_end_matches('/'),
        &account,
        &format!("{account}Cloud"),
        &format!("{account}CloudTrail"),
        &format!("{account}CloudTrail/"),
        &format!("{account}CloudTrail/us-"),
        region.trim_end_matches('/'),
        &region,
        &format!("{region}2026"),
        &format!("{region}2026/02/"),
        &format!("{region}2026/02/01/"),
        &format!("{region}2026/02/01/4444"),
        &key,
    ] {
        let wanted = wanted(objects, |object| {
            is_log(object) && object.time == "20260201T0000" && object.key.starts_with(prefix)
        });
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &wanted,
            prefix,
        );
    }
    for prefix in [
        "nothing",
        &format!("{ROOT}444455556666/CloudTrail/nothing/"),
    ] {
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &[],
            prefix,
        );
    }
}

#[test]
fn every_layout_is_narrowed_by_day_and_account() {
    let objects = &*LAYOUT;
    let narrowed = settings()
        .with("s3Interval", "2026-01-30T00:00:00Z-2026-01-31T23:59:00Z")
        .with("s3AccountList", "111122223333, 777788889999");
    let feed = Feed::new(&narrowed);
    let everywhere = Feed::new(&settings());
    for root in ROOTS {
        let below = |object: &Object| object.key.starts_with(root);
        let all = wanted(objects, below);
        assert_same(
            &everywhere.read_all(&format!("s3://{LAYOUTS}/{root}")),
            &all,
            root,
        );
        let few = wanted(objects, |object| {
            below(object)
                && object.account != "444455556666"
                && ["20260130", "20260131"].contains(&&object.time[..8])
        });
        assert_same(
            &feed.read_all(&format!("s3://{LAYOUTS}/{root}")),
            &few,
            root,
        );
    }
}

#[test]
fn narrowing_lists_only_the_days_that_are_asked_for() {
    LazyLock::force(&TRAIL);
    let proxy = Proxy::before(ministack().address);
    let last_day = Settings::at(proxy.address).with("s3Interval", "2026-02-04T00:00:00Z");
    let ids = Feed::new(&last_day).read_all(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    assert_eq!(ids.len(), 3 * 4 * 11);
    let seen = proxy.seen();
    let regions: Vec<_> = seen
        .iter()
        .filter(|seen| seen.operation == "ListObjectsV2" && seen.query.contains("start-after="))
        .collect();
    assert_eq!(
        regions.len(),
        3 * 4,
        "one listing for each account and region"
    );
    for listing in regions {
        assert!(listing.query.contains("2026%2F02%2F0"), "{}", listing.query);
    }
    assert!(
        proxy.count("ListObjectsV2") < 30,
        "{}",
        proxy.count("ListObjectsV2")
    );
}

#[test]
fn an_interval_includes_both_of_its_ends_to_the_minute() {
    let objects = &*TRAIL;
    let prefix = format!("{ROOT}111122223333/CloudTrail/eu-central-1/");
    for (interval, first, last) in [
        ("2026-02-01T00:00:00Z", "20260201T0000", "20260204T2359"),
        ("2026-02-01T00:00:59Z", "20260201T0000", "20260204T2359"),
        ("2026-02-01T00:01:00Z", "20260201T0223", "20260204T2359"),
        (
            "2026-01-31T23:59:00Z-2026-02-01T00:00:00Z",
            "20260131T2359",
            "20260201T0000",
        ),
        (
            "2026-01-31T23:59:59Z-2026-02-02T23:58:59Z",
            "20260131T2359",
            "20260202T2135",
        ),
        (
            "9999w-2026-01-26T00:00:10Z",
            "20260126T0000",
            "20260126T0000",
        ),
        ("2026-01-26T00:00:00Z-1s", "20260126T0000", "20260204T2359"),
    ] {
        let wanted = wanted(objects, |object| {
            is_log(object)
                && object.key.starts_with(&prefix)
                && (first..=last).contains(&object.time.as_str())
        });
        let feed = Feed::new(&settings().with("s3Interval", interval));
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &wanted,
            interval,
        );
    }
}

#[test]
fn a_relative_interval_counts_back_from_now() {
    let bucket = "recent-trail";
    let service = service();
    service.create_bucket(bucket);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    let key = |hours: u64| {
        let then = now.as_secs() - hours * 3600;
        let then = time::OffsetDateTime::from_unix_timestamp(then as i64).expect("a time");
        let (year, month, day) = (then.year(), u8::from(then.month()), then.day());
        let time = format!(
            "{year}{month:02}{day:02}T{:02}{:02}",
            then.hour(),
            then.minute()
        );
        trail::log_key(
            "AWSLogs/",
            ACCOUNTS[0],
            REGIONS[0],
            &time,
            "Xq7mNb2Kp9Rt4W00",
        )
    };
    for hours in (1..=145).step_by(24) {
        service.put(
            bucket,
            &key(hours),
            gzip(&plain_log(&format!("{hours}h"), 1)),
        );
    }
    for (interval, wanted) in [
        ("5d-2d", &["97h0", "73h0", "49h0"][..]),
        ("2d", &["25h0", "1h0"]),
        ("1w-5d", &["145h0", "121h0"]),
        ("30h-90m", &["25h0"]),
    ] {
        let feed = Feed::new(&settings().with("s3Interval", interval));
        assert_eq!(
            feed.read_all(&format!("s3://{bucket}/AWSLogs/")),
            wanted,
            "{interval}"
        );
    }
}

#[test]
fn an_account_list_holds_wherever_the_prefix_points() {
    let objects = &*TRAIL;
    let day = "2026-02-03T00:00:00Z-2026-02-03T23:59:59Z";
    let read = |accounts: &str, prefix: &str| {
        let settings = settings()
            .with("s3Interval", day)
            .with("s3AccountList", accounts);
        Feed::new(&settings).read_all(&format!("s3://{BUCKET}/{prefix}"))
    };
    for (accounts, listed) in [
        ("111122223333", &["111122223333"][..]),
        (
            " 777788889999 ,111122223333,999999999999",
            &["111122223333", "777788889999"],
        ),
    ] {
        let wanted = wanted(objects, |object| {
            is_log(object)
                && object.time.starts_with("20260203")
                && listed.contains(&object.account)
        });
        for prefix in ["", "trail/", "trail/AWSLogs/", ROOT] {
            assert_same(&read(accounts, prefix), &wanted, prefix);
        }
    }
    let read_nothing = read("999999999999", ROOT);
    assert_same(
        &read_nothing,
        &[],
        "nothing is there of an account that has no logs",
    );
}

#[test]
fn insights_are_read_on_request() {
    let objects = &*TRAIL;
    let day = "2026-02-02T00:00:00Z-2026-02-02T23:59:59Z";
    let settings = settings()
        .with("s3Interval", day)
        .with("includeInsights", true);
    let feed = Feed::new(&settings);
    let wanted = wanted(objects, |object| {
        object.time.starts_with("20260202")
            && [Kind::CloudTrail, Kind::Insight].contains(&object.kind)
    });
    for prefix in ["", "trail/AWSLogs/", ROOT] {
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &wanted,
            prefix,
        );
    }
}

#[test]
fn three_keys_a_page_make_no_difference() {
    let objects = &*TRAIL;
    let proxy = Proxy::before(ministack().address);
    proxy.keys_per_page(3);
    let all = Feed::new(&Settings::at(proxy.address));
    let ids = all.read_all(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    assert_same(&ids, &wanted(objects, is_log), "AWSLogs/");
    assert!(
        proxy.count("ListObjectsV2") > 1320 / 3,
        "the pages were not short"
    );

    let days = Settings::at(proxy.address)
        .with("s3Interval", "2026-01-28T00:00:00Z-2026-01-29T23:59:59Z")
        .with("s3AccountList", "444455556666")
        .with("includeInsights", true);
    let wanted = wanted(objects, |object| {
        object.account == "444455556666"
            && ["20260128", "20260129"].contains(&&object.time[..8])
            && [Kind::CloudTrail, Kind::Insight].contains(&object.kind)
    });
    let feed = Feed::new(&days);
    for prefix in ["trail/AWSLogs/", "trail/", ""] {
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &wanted,
            prefix,
        );
    }
}

/// A bucket of 30 objects below `AWSLogs/1/`, read ten keys a page through a proxy that has `rule` for listings.
fn listing_with(name: &str, rule: impl FnOnce() -> Rule) -> (Vec<String>, Feed, Proxy) {
    let service = service();
    service.create_bucket(name);
    for number in 0..30 {
        let log = gzip(&plain_log(&format!("{number:02}-"), 1));
        service.put(name, &format!("AWSLogs/1/{number:02}.json.gz"), log);
    }
    let proxy = Proxy::before(ministack().address);
    proxy.keys_per_page(10);
    proxy.rule(rule());
    let feed = Feed::new(&Settings::at(proxy.address));
    let read = feed.read_all(&format!("s3://{name}/AWSLogs/1/"));
    (read, feed, proxy)
}

#[test]
fn a_page_that_is_not_whole_is_requested_again() {
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
        // Passes the check at open and the look at what is below the prefix.
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

#[test]
fn a_page_that_stays_unusable_is_an_error_that_names_the_prefix() {
    let repeated = |page: &str| page.replace("/1/1", "/1/0");
    let no_token = |page: &str| page.replace("NextContinuationToken", "Other");
    let rewrites: [(&str, Rewrite, &str); 2] = [
        ("repeated-page", repeated, "not in order"),
        ("never-a-token", no_token, "no continuation token"),
    ];
    for (name, rewrite, reason) in rewrites {
        // Passes the check at open, the look at what is below the prefix, and the first page.
        let rule = || Rule::every("ListObjectsV2", Fault::Rewrite(rewrite)).after(3);
        let (read, feed, proxy) = listing_with(name, rule);
        assert_eq!(
            read.len(),
            10,
            "{name}: the first page is read, and nothing twice"
        );
        assert_eq!(feed.metric("errors.list"), 1, "{name}");
        let lines = feed.logged(Severity::Error);
        let named = lines
            .iter()
            .any(|line| line.contains(&format!("s3://{name}/AWSLogs/1/")) && line.contains(reason));
        assert!(named, "{name}: {lines:#?}");
        assert!(proxy.count("ListObjectsV2") < 20, "{name}: no loop");
    }
}

#[test]
fn keys_of_any_characters_are_listed_and_read() {
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

#[test]
fn a_second_server_agrees() {
    let bucket = "agreed-trail";
    let root = "AWSLogs/o-exampleorg/";
    let some = |object: &Object| ["20260131", "20260201"].contains(&&object.time[..8]);
    let objects: Vec<Object> = trail::objects(root, 1, true)
        .into_iter()
        .filter(some)
        .collect();
    trail::fill(&Service::at(moto().address), bucket, &objects);
    let feed = Feed::new(&Settings::at(moto().address));
    let all = wanted(&objects, is_log);
    assert_same(
        &feed.read_all(&format!("s3://{bucket}/AWSLogs/")),
        &all,
        "all",
    );

    let settings = Settings::at(moto().address)
        .with("s3Interval", "2026-02-01T00:00:00Z")
        .with("s3AccountList", ACCOUNTS[1]);
    let few = wanted(&objects, |object| {
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

#[test]
fn reading_starts_with_the_first_page_and_not_after_the_last() {
    LazyLock::force(&TRAIL);
    let proxy = Proxy::before(ministack().address);
    proxy.keys_per_page(20);
    // The first listing is the look at open.
    let later = Rule::every("ListObjectsV2", Fault::Delay(2 * PATIENCE));
    proxy.rule(later.of(BUCKET).after(2));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!(
        "s3://{BUCKET}/{ROOT}111122223333/CloudTrail/us-east-1/2026/01/"
    ));
    let came = reading.until(PATIENCE, |ids| ids.len() >= 15);
    assert!(
        came,
        "{} events while the second page was to come",
        reading.ids.len()
    );
}

#[test]
fn so_many_downloads_run_at_once_as_are_allowed() {
    LazyLock::force(&TRAIL);
    let source = format!("s3://{BUCKET}/{ROOT}111122223333/CloudTrail/us-east-1/");
    for allowed in [1, 32] {
        let proxy = Proxy::before(ministack().address);
        let slow = Duration::from_millis(if allowed == 1 { 5 } else { 400 });
        proxy.rule(Rule::every("GetObject", Fault::Delay(slow)));
        let settings = Settings::at(proxy.address).with("s3DownloadConcurrency", allowed);
        assert_eq!(Feed::new(&settings).read_all(&source).len(), 110);
        let most = proxy.most_at_once("GetObject");
        assert_eq!(most, allowed, "at once");
    }
}

#[test]
fn at_open_what_is_wrong_is_told_within_seconds() {
    LazyLock::force(&LAYOUT);
    let refused = |fault: Fault| {
        let proxy = Proxy::before(ministack().address);
        proxy.rule(Rule::every("", fault));
        Feed::new(&Settings::at(proxy.address)).refusal(&format!("s3://{LAYOUTS}/AWSLogs/"))
    };
    let missing = Feed::new(&settings()).refusal("s3://no-such-bucket-anywhere/AWSLogs/");
    let nobody = Feed::new(&Settings::at(closed_address())).refusal(&format!("s3://{LAYOUTS}/"));
    for ((message, time), bucket, code) in [
        (missing, "no-such-bucket-anywhere", "NoSuchBucket"),
        (
            refused(Fault::Refuse(403, "AccessDenied")),
            LAYOUTS,
            "AccessDenied",
        ),
        (
            refused(Fault::Refuse(400, "ExpiredToken")),
            LAYOUTS,
            "ExpiredToken",
        ),
        (
            refused(Fault::Refuse(403, "InvalidAccessKeyId")),
            LAYOUTS,
            "InvalidAccessKeyId",
        ),
        (
            refused(Fault::Refuse(403, "SignatureDoesNotMatch")),
            LAYOUTS,
            "SignatureDoesNotMatch",
        ),
        (
            refused(Fault::OtherRegion("eu-north-1")),
            LAYOUTS,
            "PermanentRedirect",
        ),
        (refused(Fault::Silence(FOR_EVER)), LAYOUTS, ""),
        (refused(Fault::Reset), LAYOUTS, ""),
        (nobody, LAYOUTS, ""),
    ] {
        let region = match code {
            "PermanentRedirect" => "eu-north-1",
            _ => "us-east-1",
        };
        for part in [bucket, code, region] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(time < Duration::from_secs(15), "after {time:?}: {message}");
    }
}

#[test]
fn nothing_outside_of_the_prefix_is_asked_for() {
    let objects = &*LAYOUT;
    let root = ROOTS[4];
    let proxy = Proxy::before(ministack().address);
    let feed = Feed::new(&Settings::at(proxy.address));
    let wanted = wanted(objects, |object| object.key.starts_with(root));
    assert_same(
        &feed.read_all(&format!("s3://{LAYOUTS}/{root}")),
        &wanted,
        root,
    );
    // A policy may allow to list this prefix and nothing else.
    let prefix = format!("prefix={}", root.replace('/', "%2F"));
    for seen in proxy.seen() {
        if seen.operation == "ListObjectsV2" {
            assert!(seen.query.contains(&prefix), "{}", seen.query);
        }
    }
}

#[test]
fn a_bucket_in_another_region_is_followed_there() {
    let objects = &*LAYOUT;
    let feed = Feed::new(&settings().with_aws("region", "eu-north-1"));
    let root = ROOTS[4];
    let wanted = wanted(objects, |object| object.key.starts_with(root));
    assert_same(
        &feed.read_all(&format!("s3://{LAYOUTS}/{root}")),
        &wanted,
        root,
    );
    let told = feed.logged(Severity::Info);
    assert!(
        told.iter().any(|line| line.contains("eu-north-1")),
        "{told:?}"
    );
}

#[test]
fn without_region_or_credentials_the_message_says_so() {
    let (config, _) = aws::settings::shared_files();
    let without_region = settings().without_aws("region");
    let without_credentials = settings().with_aws("credentials", config.to_str().expect("UTF-8"));
    for (settings, part) in [
        (without_region, "region"),
        (without_credentials, "credentials"),
    ] {
        let started = Instant::now();
        let output = child::run(child::command(&settings, "s3://some-bucket/AWSLogs/"));
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(part), "{message}");
        assert!(started.elapsed() < Duration::from_secs(15), "{message}");
    }
}

/// Answers each request after so long, as an instance metadata service with a role and a region does.
fn instance_metadata(delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                while let Ok(Some(request)) = Message::read_request_head(&mut client) {
                    thread::sleep(delay);
                    let body = match request.target() {
                        "/latest/api/token" => "token",
                        "/latest/meta-data/placement/region" => "us-east-1",
                        "/latest/meta-data/iam/security-credentials/" => "role",
                        _ => {
                            r#"{"Code":"Success","LastUpdated":"2026-01-14T08:50:00Z","Type":"AWS-HMAC","AccessKeyId":"AKIAIOSFODNN7EXAMPLE",
                            "SecretAccessKey":"s","Token":"t","Expiration":"2099-01-14T08:50:00Z"}"#
                        }
                    };
                    let reply = Message::new("HTTP/1.1 200 OK".to_owned())
                        .with("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                        .with_body(body);
                    if reply.write(&mut client).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn an_instance_metadata_service_that_takes_more_than_a_second_is_waited_for_and_else_named() {
    LazyLock::force(&LAYOUT);
    let (config, _) = aws::settings::shared_files();
    let settings = settings().with_aws("credentials", config.to_str().expect("UTF-8"));
    let read = |settings: &Settings, delay: Duration| {
        let source = format!("s3://{LAYOUTS}/AWSLogs/111122223333/");
        let mut command = child::command(settings, &source);
        let address = instance_metadata(delay);
        command.env(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{address}"),
        );
        child::run(command)
    };
    let without_region = settings.clone().without_aws("region");
    let output = read(&without_region, Duration::from_millis(1300));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    for (settings, what) in [(without_region, "region"), (settings, "credentials")] {
        let output = read(&settings, FOR_EVER);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        for part in [what, "instance metadata"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn region_and_credentials_come_from_the_environment_too() {
    LazyLock::force(&LAYOUT);
    let (config, _) = aws::settings::shared_files();
    for region in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        let settings = settings()
            .without_aws("region")
            .without_aws("endpoint")
            .with_aws("credentials", config.to_str().expect("UTF-8"));
        let mut command =
            child::command(&settings, &format!("s3://{LAYOUTS}/AWSLogs/111122223333/"));
        command
            .env(region, "us-east-1")
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://{}", ministack().address),
            )
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env(
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            );
        let output = child::run(command);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8_lossy(&output.stdout).lines().count();
        assert_eq!(lines, 4 * 10);
    }
}

#[test]
fn closing_takes_no_more_than_a_second_whatever_is_under_way() {
    LazyLock::force(&TRAIL);
    let proxy = Proxy::before(ministack().address);
    let second = format!("{ROOT}111122223333/CloudTrail/eu-central-1/2026/");
    let stall = Fault::StallAfter(10, FOR_EVER);
    proxy.rule(Rule::every("GetObject", stall).of(format!("{second}01/26/")));
    proxy.rule(Rule::every("GetObject", Fault::Silence(FOR_EVER)).of(&second));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    // The first region comes; the downloads of the second stand still.
    reading.until_count(110);
    reading.until(PATIENCE, |_| proxy.most_at_once("GetObject") >= 32);
    assert_eq!(reading.ids.len(), 110);
    assert_eq!(proxy.most_at_once("GetObject"), 32);
    let started = Instant::now();
    drop(reading);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_host_that_takes_its_time_stalls_the_downloads() {
    let service = service();
    let bucket = "large-objects";
    service.create_bucket(bucket);
    let log = plain_log("x", 1000);
    for number in 0..40 {
        service.put(bucket, &format!("{number:02}.json"), log.clone());
    }
    let proxy = Proxy::before(ministack().address);
    let most = 4 * log.len();
    let settings = Settings::at(proxy.address).with("maxBufferedBytes", most);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("s3://{bucket}"));
    let count = proxy.settled("GetObject");
    assert!((1..=4).contains(&count), "{count} objects were fetched");
    reading.until_end();
    assert_eq!(reading.ids.len(), 40 * 1000);
}

#[test]
fn a_role_is_assumed_with_what_it_asks_for() {
    let bucket = "of-a-role";
    let service = Service::at(moto().address);
    service.create_bucket(bucket);
    service.put(bucket, "a.json", plain_log("a", 1));
    let proxy = Proxy::before(moto().address);
    let settings = Settings::at(proxy.address)
        .with_aws("roleArn", "arn:aws:iam::123456789012:role/log-reader")
        .with_aws("externalId", "agreed-on")
        .with_aws("roleSessionName", "the-sensor");
    assert_eq!(
        Feed::new(&settings).read_all(&format!("s3://{bucket}")),
        ["a0"]
    );
    let seen = proxy.seen();
    let assume = seen
        .iter()
        .find(|seen| seen.body.contains("Action=AssumeRole"));
    let asked = &assume.expect("a request to STS").body;
    let assumed = seen
        .iter()
        .filter(|seen| seen.body.contains("Action=AssumeRole"));
    assert_eq!(assumed.count(), 1, "STS is asked once");
    for part in [
        "role%2Flog-reader",
        "ExternalId=agreed-on",
        "RoleSessionName=the-sensor",
    ] {
        assert!(asked.contains(part), "{part} is missing in: {asked}");
    }
}

#[test]
fn an_unknown_profile_matters_to_aws_only() {
    let feed = Feed::new(&settings().with_aws("profile", "no-such-profile"));
    let (message, _) = feed.refusal(&format!("s3://{LAYOUTS}/AWSLogs/"));
    assert!(message.contains("no-such-profile"), "{message}");
    let local = support::testdata("logs");
    assert!(!feed.read_all(local.to_str().expect("UTF-8")).is_empty());
}
