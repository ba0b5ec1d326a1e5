#![forbid(unsafe_code)]

use super::*;
use crate::config::interval::Interval;

const ACCOUNT: &str = "123456789012";

fn kind(prefix: &str) -> Kind {
    let node = root(prefix);
    assert_eq!(node.prefix, prefix);
    node.kind
}

fn selection(interval: &str, accounts: &[&str], insights: bool) -> Selection {
    Selection {
        interval: Interval::parse(interval, 0).expect("an interval"),
        accounts: accounts.iter().map(|&account| account.to_owned()).collect(),
        insights,
        concurrency: 4,
    }
}

fn prefixes(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.prefix.as_str()).collect()
}

#[test]
fn a_prefix_is_recognised_by_where_it_ends() {
    let in_logs = Kind::Logs {
        organizations: true,
    };
    let in_organization = Kind::Logs {
        organizations: false,
    };
    for front in ["", "trail/", "a/b/", "o-abc123/", "x/AWSLogs/y/"] {
        for (below, expected) in [
            ("AWSLogs", Kind::Front),
            ("AWSLogs/", in_logs.clone()),
            ("AWSLogs/1234", in_logs.clone()),
            ("AWSLogs/123456789012", in_logs.clone()),
            ("AWSLogs/o-abc123", in_logs.clone()),
            ("AWSLogs/o-abc123/", in_organization.clone()),
            ("AWSLogs/o-abc123/123456789012", in_organization.clone()),
            ("AWSLogs/123456789012/", Kind::Account),
            ("AWSLogs/o-abc123/123456789012/CloudTrail", Kind::Account),
            ("AWSLogs/123456789012/CloudTrail/", Kind::Service),
            ("AWSLogs/123456789012/CloudTrail-Insight/", Kind::Service),
            (
                "AWSLogs/o-abc123/123456789012/CloudTrail/us-east-1",
                Kind::Service,
            ),
        ] {
            assert_eq!(kind(&format!("{front}{below}")), expected, "{front}{below}");
        }
    }
}

#[test]
fn below_a_region_the_place_of_the_days_is_known() {
    let region = "t/AWSLogs/o-abc123/123456789012/CloudTrail/us-east-1/";
    for below in ["", "2023/", "2023/0", "2023/07/10/123456789012_C"] {
        let prefix = format!("{region}{below}");
        assert_eq!(root(&prefix), Node::dated(&prefix, region));
    }
}

#[test]
fn what_is_not_cloudtrails_is_listed_as_it_is() {
    for prefix in [
        "",
        "exports/",
        "AWSLogs2/",
        "xAWSLogs/",
        "AWSLogs/other/",
        "AWSLogs/other/x",
    ] {
        assert_eq!(kind(prefix), Kind::Front, "{prefix}");
    }
    let prefix = "AWSLogs/123456789012/Config/us-east-1/";
    assert_eq!(root(prefix), Node::plain(prefix));
}

#[test]
fn children_are_recognised_by_name() {
    let logs = root("t/AWSLogs/");
    let child = |name: &str| {
        logs.child(&format!("t/AWSLogs/{name}/"))
            .map(|node| node.kind)
    };
    assert_eq!(child(ACCOUNT), Some(Kind::Account));
    assert_eq!(
        child("o-abc123"),
        Some(Kind::Logs {
            organizations: false
        })
    );
    assert_eq!(child("aws-account-id=123456789012"), None);
    assert_eq!(child("copies"), Some(Node::plain("").kind));
    let service = root("AWSLogs/123456789012/CloudTrail/");
    let region = "AWSLogs/123456789012/CloudTrail/eu-west-1/";
    assert_eq!(service.child(region), Some(Node::dated(region, region)));
}

#[test]
fn listed_accounts_need_no_listing() {
    let asked = selection("", &["222222222222", "111111111111", "222222222222"], false);
    let nodes = listed_accounts(&root("AWSLogs/"), &asked);
    assert_eq!(
        prefixes(&nodes),
        ["AWSLogs/111111111111/", "AWSLogs/222222222222/"]
    );
    let nodes = listed_accounts(&root("AWSLogs/22"), &asked);
    assert_eq!(prefixes(&nodes), ["AWSLogs/222222222222/"]);
    let organizations = |prefix: &str| organizations_prefix(&root(prefix));
    assert_eq!(organizations("AWSLogs/").as_deref(), Some("AWSLogs/o-"));
    assert_eq!(
        organizations("AWSLogs/o-ab").as_deref(),
        Some("AWSLogs/o-ab")
    );
    assert_eq!(organizations("AWSLogs/12"), None);
    assert_eq!(organizations("AWSLogs/o-abc123/"), None);
}

#[test]
fn services_follow_the_selection_in_key_order() {
    let account = root("AWSLogs/123456789012/");
    let of = |asked: &Selection| prefixes(&services(&account, asked)).join(" ");
    let trail = "AWSLogs/123456789012/CloudTrail/";
    let insight = "AWSLogs/123456789012/CloudTrail-Insight/";
    assert_eq!(of(&selection("", &[], false)), trail);
    assert_eq!(of(&selection("", &[], true)), format!("{insight} {trail}"));
    assert_eq!(of(&selection("", &["111111111111"], true)), "");
    let partial = root("AWSLogs/123456789012/CloudTrail-");
    assert_eq!(
        prefixes(&services(&partial, &selection("", &[], true))),
        [insight]
    );
}

#[test]
fn a_front_is_cut_around_what_is_known() {
    let below = ["a/", "b.json", "AWSLogs/", "zz/"]
        .map(str::to_owned)
        .to_vec();
    let nodes = cut(&root(""), below).expect("AWSLogs is known");
    let keys = |after: Option<&str>, until: Option<&str>| Kind::Keys {
        after: after.map(str::to_owned),
        until: until.map(str::to_owned),
        region: None,
    };
    assert_eq!(
        nodes,
        [
            Node::new(
                "AWSLogs/",
                Kind::Logs {
                    organizations: true
                }
            ),
            Node::new("", keys(Some("AWSLogs0"), None)),
        ]
    );
    let below = ["t/AAA/", "t/AWSLogs/", "t/o-abc123/"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(
        cut(&root("t/"), below).expect("two are known"),
        [
            Node::new("t/", keys(None, Some("t/AWSLogs/"))),
            Node::new(
                "t/AWSLogs/",
                Kind::Logs {
                    organizations: true
                }
            ),
            Node::new("t/o-abc123/", Kind::Front),
        ]
    );
    assert_eq!(cut(&root("t/"), vec!["t/2023/".to_owned()]), None);
}

#[test]
fn the_account_is_read_from_folder_or_name() {
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
fn days_outside_of_the_interval_are_passed_over() {
    let asked = selection("2023-04-05T06:00:00Z-2023-04-06T12:00:10Z", &[], false);
    assert_eq!(start_after("r/", &asked).as_deref(), Some("r/2023/04/05"));
    let (behind, end) = days_behind("r/", &asked).expect("an end");
    assert!("r/2023/04/06/x" < behind.as_str() && behind.as_str() < "r/2023/04/07/");
    assert!("r/9999/12/31/x" < end.as_str() && end.as_str() < "r/a");
    let all = selection("", &[], false);
    assert_eq!(
        (start_after("r/", &all), days_behind("r/", &all)),
        (None, None)
    );
}

#[test]
fn around_midnight_the_neighbouring_day_is_listed_too() {
    let asked = selection("2023-04-05T00:05:00Z-2023-04-05T23:55:00Z", &[], false);
    assert_eq!(start_after("r/", &asked).as_deref(), Some("r/2023/04/04"));
    let (behind, _) = days_behind("r/", &asked).expect("an end");
    assert!("r/2023/04/06/x" < behind.as_str());
}

#[test]
fn a_selection_takes_by_kind_time_and_account() {
    let key = |account: &str, kind: &str, time: &str| {
        format!(
            "AWSLogs/{account}/{kind}/us-east-1/2023/04/05/{account}_{kind}_us-east-1_{time}_x.json.gz"
        )
    };
    let asked = selection(
        "2023-04-05T06:00:00Z-2023-04-05T12:00:10Z",
        &[ACCOUNT],
        false,
    );
    assert!(asked.takes(&key(ACCOUNT, "CloudTrail", "20230405T0600Z")));
    assert!(asked.takes("copies/neither.json.gz"));
    for other in [
        key(ACCOUNT, "CloudTrail", "20230405T0559Z"),
        key(ACCOUNT, "CloudTrail-Insight", "20230405T0600Z"),
        key(ACCOUNT, "CloudTrail-Digest", "20230405T0600Z"),
        key("111111111111", "CloudTrail", "20230405T0600Z"),
        "AWSLogs/neither.json.gz".to_owned(),
    ] {
        assert!(!asked.takes(&other), "{other}");
    }
    assert!(selection("1d", &[], false).takes("AWSLogs/neither.json.gz"));
}
