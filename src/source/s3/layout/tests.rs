#![forbid(unsafe_code)]

use super::*;
use crate::config::interval::Interval;

const ACCOUNT: &str = "123456789012";

fn level(text: &str) -> Level {
    let prefix = classify(text);
    assert_eq!(prefix.text, text);
    prefix.level
}

fn selection(interval: &str, accounts: &[&str], insights: bool) -> Selection {
    Selection {
        interval: Interval::parse(interval, 0).expect("an interval"),
        accounts: accounts.iter().map(|&account| account.to_owned()).collect(),
        insights,
        concurrency: 4,
    }
}

#[test]
fn configured_prefix_is_classified_by_its_end() {
    let in_logs = Level::Accounts {
        organizations: true,
    };
    let in_organization = Level::Accounts {
        organizations: false,
    };
    for above in ["", "trail/", "a/b/", "o-abc123/", "x/AWSLogs/y/"] {
        for (below, expected) in [
            ("AWSLogs", Level::AboveLogs),
            ("AWSLogs/", in_logs.clone()),
            ("AWSLogs/1234", in_logs.clone()),
            ("AWSLogs/123456789012", in_logs.clone()),
            ("AWSLogs/o-abc123", in_logs.clone()),
            ("AWSLogs/o-abc123/", in_organization.clone()),
            ("AWSLogs/o-abc123/123456789012", in_organization.clone()),
            ("AWSLogs/123456789012/", Level::Kinds),
            ("AWSLogs/o-abc123/123456789012/CloudTrail", Level::Kinds),
            ("AWSLogs/123456789012/CloudTrail/", Level::Regions),
            ("AWSLogs/123456789012/CloudTrail-Insight/", Level::Regions),
            (
                "AWSLogs/123456789012/CloudTrail-Aggregated/",
                Level::Regions,
            ),
            (
                "AWSLogs/123456789012/CloudTrail-NetworkActivity/",
                Level::Regions,
            ),
            (
                "AWSLogs/o-abc123/123456789012/CloudTrail/us-east-1",
                Level::Regions,
            ),
        ] {
            assert_eq!(
                level(&format!("{above}{below}")),
                expected,
                "{above}{below}"
            );
        }
    }
}

#[test]
fn prefixes_below_a_region_keep_the_region() {
    let region = "t/AWSLogs/o-abc123/123456789012/CloudTrail/us-east-1/";
    for below in ["", "2023/", "2023/0", "2023/07/10/123456789012_C"] {
        let prefix = format!("{region}{below}");
        assert_eq!(classify(&prefix), Prefix::dated(&prefix, region));
    }
}

#[test]
fn prefix_outside_the_layout_is_listed_unnarrowed() {
    for prefix in [
        "",
        "exports/",
        "AWSLogs2/",
        "xAWSLogs/",
        "AWSLogs/other/",
        "AWSLogs/other/x",
    ] {
        assert_eq!(level(prefix), Level::AboveLogs, "{prefix}");
    }
    for service in ["Config", "CloudTrail-Digest"] {
        let prefix = format!("AWSLogs/123456789012/{service}/us-east-1/");
        assert_eq!(classify(&prefix), Prefix::unknown(&prefix));
    }
}

#[test]
fn common_prefixes_are_classified_by_name() {
    let logs = classify("t/AWSLogs/");
    let child = |name: &str| {
        logs.child(&format!("t/AWSLogs/{name}/"))
            .map(|prefix| prefix.level)
    };
    assert_eq!(child(ACCOUNT), Some(Level::Kinds));
    assert_eq!(
        child("o-abc123"),
        Some(Level::Accounts {
            organizations: false
        })
    );
    assert_eq!(child("aws-account-id=123456789012"), None);
    assert_eq!(child("copies"), Some(Prefix::unknown("").level));
    let service = classify("AWSLogs/123456789012/CloudTrail/");
    let region = "AWSLogs/123456789012/CloudTrail/eu-west-1/";
    assert_eq!(service.child(region), Some(Prefix::dated(region, region)));
}

#[test]
fn selected_accounts_need_no_listing() {
    let selected = selection("", &["222222222222", "111111111111", "222222222222"], false);
    let of = |prefix: &str| {
        let accounts = selected_accounts(&classify(prefix), &selected);
        accounts.into_iter().map(|account| account.text)
    };
    assert!(of("AWSLogs/").eq(["AWSLogs/111111111111/", "AWSLogs/222222222222/"]));
    assert!(of("AWSLogs/22").eq(["AWSLogs/222222222222/"]));
    assert!(of("AWSLogs/o-abc123/22").eq(["AWSLogs/o-abc123/222222222222/"]));
    for other in ["", "AWSLogs/111111111111/"] {
        assert_eq!(of(other).count(), 0, "{other}");
    }
    // The accounts of a listing are these or others, and its organizations and other folders may hold their logs.
    let logs = classify("AWSLogs/");
    for (name, is_selected) in [
        ("111111111111", false),
        ("o-abc123", true),
        ("copies", true),
    ] {
        let child = logs.selected_child(&format!("AWSLogs/{name}/"), &selected);
        assert_eq!(child.is_some(), is_selected, "{name}");
    }
    let all = selection("", &[], false);
    let child = logs.selected_child("AWSLogs/111111111111/", &all);
    assert_eq!(child.map(|child| child.level), Some(Level::Kinds));
}

#[test]
fn only_selected_kinds_of_an_account_are_listed() {
    let account = classify("AWSLogs/123456789012/");
    for (kind, with_insights, without) in [
        ("CloudTrail", true, true),
        ("CloudTrail-Aggregated", true, true),
        ("CloudTrail-NetworkActivity", true, true),
        ("CloudTrail-Insight", true, false),
        ("CloudTrail-Digest", false, false),
        ("Config", false, false),
    ] {
        let path = format!("AWSLogs/123456789012/{kind}/");
        for (insights, expected) in [(true, with_insights), (false, without)] {
            let child = account.selected_child(&path, &selection("", &[], insights));
            let expected = expected.then(|| Prefix::new(&path, Level::Regions));
            assert_eq!(child, expected, "{kind}");
        }
    }
}

#[test]
fn keys_are_partitioned_around_classified_prefixes() {
    let below = ["a/", "b.json", "AWSLogs/", "zz/"]
        .map(str::to_owned)
        .to_vec();
    let prefixes = partition(&classify(""), below).expect("AWSLogs is classified");
    let keys = |after: Option<&str>, before: Option<&str>| {
        Level::Keys(KeyRange {
            after: after.map(str::to_owned),
            before: before.map(str::to_owned),
            region: None,
        })
    };
    assert_eq!(
        prefixes,
        [
            Prefix::new(
                "AWSLogs/",
                Level::Accounts {
                    organizations: true
                }
            ),
            Prefix::new("", keys(Some("AWSLogs0"), None)),
        ]
    );
    let below = ["t/AAA/", "t/AWSLogs/", "t/o-abc123/"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(
        partition(&classify("t/"), below).expect("two are classified"),
        [
            Prefix::new("t/", keys(None, Some("t/AWSLogs/"))),
            Prefix::new(
                "t/AWSLogs/",
                Level::Accounts {
                    organizations: true
                }
            ),
            Prefix::new("t/o-abc123/", Level::AboveLogs),
        ]
    );
    assert_eq!(partition(&classify("t/"), vec!["t/2023/".to_owned()]), None);
}

#[test]
fn account_is_read_from_path_or_file_name() {
    for key in [
        "AWSLogs/123456789012/CloudTrail/us-east-1/2023/07/10/x.json.gz",
        "o-abc/AWSLogs/o-abc/123456789012/CloudTrail/x.json.gz",
        "copies/123456789012_CloudTrail_us-east-1_20230710T2015Z_x.json.gz",
    ] {
        assert_eq!(account(key), Some(ACCOUNT), "{key}");
    }
    assert_eq!(account("copies/x.json.gz"), None);
}

#[test]
fn days_outside_of_the_interval_are_skipped() {
    let selected = selection("2023-04-05T06:00:00Z-2023-04-06T12:00:10Z", &[], false);
    assert_eq!(
        start_after("r/", &selected).as_deref(),
        Some("r/2023/04/05")
    );
    let (later, end) = days_after_end("r/", &selected).expect("an end");
    assert!("r/2023/04/06/x" < later.as_str() && later.as_str() < "r/2023/04/07/");
    assert!("r/9999/12/31/x" < end.as_str() && end.as_str() < "r/a");
    let all = selection("", &[], false);
    assert_eq!(
        (start_after("r/", &all), days_after_end("r/", &all)),
        (None, None)
    );
}

#[test]
fn neighboring_day_is_listed_around_midnight() {
    let selected = selection("2023-04-05T00:05:00Z-2023-04-05T23:55:00Z", &[], false);
    assert_eq!(
        start_after("r/", &selected).as_deref(),
        Some("r/2023/04/04")
    );
    let (later, _) = days_after_end("r/", &selected).expect("an end");
    assert!("r/2023/04/06/x" < later.as_str());
}

#[test]
fn selection_filters_by_log_type_time_and_account() {
    let key = |account: &str, kind: &str, time: &str| {
        format!(
            "AWSLogs/{account}/{kind}/us-east-1/2023/04/05/{account}_{kind}_us-east-1_{time}_x.json.gz"
        )
    };
    let selected = selection(
        "2023-04-05T06:00:00Z-2023-04-05T12:00:10Z",
        &[ACCOUNT],
        false,
    );
    assert!(selected.selects(&key(ACCOUNT, "CloudTrail", "20230405T0600Z")));
    assert!(selected.selects("copies/neither.json.gz"));
    for other in [
        key(ACCOUNT, "CloudTrail", "20230405T0559Z"),
        key(ACCOUNT, "CloudTrail-Insight", "20230405T0600Z"),
        key(ACCOUNT, "CloudTrail-Digest", "20230405T0600Z"),
        key("111111111111", "CloudTrail", "20230405T0600Z"),
        "AWSLogs/neither.json.gz".to_owned(),
    ] {
        assert!(!selected.selects(&other), "{other}");
    }
    assert!(selection("1d", &[], false).selects("AWSLogs/neither.json.gz"));
}

#[test]
fn keys_from_a_time_on_start_in_the_folder_of_its_day_or_of_the_day_before() {
    let region = "t/AWSLogs/o-abc123/123456789012/CloudTrail-NetworkActivity/us-east-1/";
    let name = "123456789012_CloudTrail-NetworkActivity_us-east-1";
    // 2023-07-10T20:15:47Z, and ten minutes past midnight.
    let evening = start_at(region, 1_689_020_147);
    assert_eq!(evening, format!("{region}2023/07/10/{name}_20230710T2015"));
    let night = start_at(region, 1_688_947_800);
    assert_eq!(night, format!("{region}2023/07/09/{name}_20230710T0010"));
    for (key, is_after) in [
        ("2023/07/10/{}_20230710T2014Z_x.json.gz", false),
        ("2023/07/10/{}_20230710T2015Z_x.json.gz", true),
        ("2023/07/11/{}_20230711T0000Z_x.json.gz", true),
    ] {
        let key = format!("{region}{}", key.replace("{}", name));
        assert_eq!(key > evening, is_after, "{key}");
    }
    let late = format!("{region}2023/07/09/{name}_20230710T0011Z_x.json.gz");
    assert!(late > night);
}
