//! Prefix, interval, account list and Insights select the objects.
#![forbid(unsafe_code)]

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use cloudtrail::host::{Severity, Status};

use super::{BUCKET, LAYOUT, LAYOUTS, ROOT, ROOTS, TRAIL, assert_same, expected_ids, is_log};
use crate::aws::feed::Feed;
use crate::aws::settings::Settings;
use crate::aws::trail::{self, ACCOUNTS, LogKind, Object, REGIONS};
use crate::fixture::{proxy, service, settings};
use crate::support::scratch::{gzip, plain_log};

pub fn bucket_is_read_in_key_order_without_logs_of_other_services() {
    let objects = &*TRAIL;
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    reading.until_end();
    assert_same(&reading.ids, &expected_ids(objects, is_log), "AWSLogs/");
    assert_eq!(
        reading.once(),
        Status::Eof,
        "after the end comes the end again"
    );
    assert_eq!(feed.metric("objects"), reading.ids.len() as u64);
    assert!(feed.metric("requests") > reading.ids.len() as u64);
    assert_eq!(feed.logged(Severity::Warning), [""; 0]);
    let opened = &feed.logged(Severity::Info)[0];
    for part in [BUCKET, "us-east-1", "32"] {
        assert!(opened.contains(part), "{opened}");
    }
}

pub fn prefix_may_end_anywhere() {
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
        let expected = expected_ids(objects, |object| {
            is_log(object) && object.time == "20260201T0000" && object.key.starts_with(prefix)
        });
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &expected,
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

pub fn every_layout_is_narrowed_by_day_and_account() {
    let objects = &*LAYOUT;
    let narrowed = settings()
        .with("s3Interval", "2026-01-30T00:00:00Z-2026-01-31T23:59:00Z")
        .with("s3AccountList", "111122223333, 777788889999");
    let feed = Feed::new(&narrowed);
    let everywhere = Feed::new(&settings());
    for root in ROOTS {
        let below = |object: &Object| object.key.starts_with(root);
        let all = expected_ids(objects, below);
        assert_same(
            &everywhere.read_all(&format!("s3://{LAYOUTS}/{root}")),
            &all,
            root,
        );
        let few = expected_ids(objects, |object| {
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

pub fn interval_lists_only_its_own_days() {
    LazyLock::force(&TRAIL);
    let proxy = proxy();
    let last_day = Settings::at(proxy.address).with("s3Interval", "2026-02-04T00:00:00Z");
    let ids = Feed::new(&last_day).read_all(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    assert_eq!(ids.len(), 3 * 4 * 11);
    let seen = proxy.seen();
    let regions: Vec<_> = seen
        .iter()
        .filter(|seen| seen.operation == "ListObjectsV2" && seen.query.contains("start-after="))
        .collect();
    assert_eq!(regions.len(), 3 * 4, "listings by account and region");
    for listing in regions {
        assert!(listing.query.contains("2026%2F02%2F0"), "{}", listing.query);
    }
    assert!(
        proxy.count("ListObjectsV2") < 30,
        "{}",
        proxy.count("ListObjectsV2")
    );
}

pub fn interval_includes_both_of_its_ends_to_the_minute() {
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
        let expected = expected_ids(objects, |object| {
            is_log(object)
                && object.key.starts_with(&prefix)
                && (first..=last).contains(&object.time.as_str())
        });
        let feed = Feed::new(&settings().with("s3Interval", interval));
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &expected,
            interval,
        );
    }
}

pub fn relative_interval_counts_back_from_now() {
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
    for (interval, expected) in [
        ("5d-2d", &["97h0", "73h0", "49h0"][..]),
        ("2d", &["25h0", "1h0"]),
        ("1w-5d", &["145h0", "121h0"]),
        ("30h-90m", &["25h0"]),
    ] {
        let feed = Feed::new(&settings().with("s3Interval", interval));
        assert_eq!(
            feed.read_all(&format!("s3://{bucket}/AWSLogs/")),
            expected,
            "{interval}"
        );
    }
}

pub fn account_list_applies_wherever_the_prefix_points() {
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
        let expected = expected_ids(objects, |object| {
            is_log(object)
                && object.time.starts_with("20260203")
                && listed.contains(&object.account)
        });
        for prefix in ["", "trail/", "trail/AWSLogs/", ROOT] {
            assert_same(&read(accounts, prefix), &expected, prefix);
        }
    }
    let read_nothing = read("999999999999", ROOT);
    assert_same(&read_nothing, &[], "nothing for an account without logs");
}

pub fn insights_are_read_on_request() {
    let objects = &*TRAIL;
    let day = "2026-02-02T00:00:00Z-2026-02-02T23:59:59Z";
    let settings = settings()
        .with("s3Interval", day)
        .with("includeInsights", true);
    let feed = Feed::new(&settings);
    let expected = expected_ids(objects, |object| {
        object.time.starts_with("20260202")
            && [LogKind::CloudTrail, LogKind::Insight].contains(&object.kind)
    });
    for prefix in ["", "trail/AWSLogs/", ROOT] {
        assert_same(
            &feed.read_all(&format!("s3://{BUCKET}/{prefix}")),
            &expected,
            prefix,
        );
    }
}
