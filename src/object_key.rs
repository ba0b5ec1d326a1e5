//! Parses keys of S3 objects and paths of files: whether one names a CloudTrail log, and the time in it.
//!
//! AWS writes `AWSLogs/[<organization>/]<account>/<kind>/<region>/YYYY/MM/DD/<file>`, where the file is
//! `<account>_<kind>_<region>_YYYYMMDDTHHmmZ_<unique>.json.gz` and the kind `CloudTrail`, `CloudTrail-NetworkActivity`,
//! `CloudTrail-Aggregated` or `CloudTrail-Insight`. Amazon Data Firehose, which carries CloudWatch Logs to S3, writes
//! `<stream>-<version>-YYYY-MM-DD-HH-MM-SS-<uuid>` with an optional suffix. The same bucket may hold logs of other
//! services, and users copy logs to other keys.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::timestamp;

/// Whether `key` names a CloudTrail log: it has the suffix of a log or a name that Firehose writes, and is not another
/// AWS log by its name. Insights logs count only with `insights`, digest files never.
///
/// `key` is a whole S3 key, or a path with `/` as separator. The name of another log counts only next to an account ID,
/// where AWS writes it: in the file name, or below `AWSLogs/<account>/`. A user's prefix `Config/` or `vpcflowlogs/` does
/// not exclude logs.
pub fn is_log(key: &str, insights: bool) -> bool {
    if !has_log_suffix(key) && !is_firehose_name(file_name(key)) {
        return false;
    }
    match log_type(key) {
        LogType::CloudTrail | LogType::Unknown => true,
        LogType::Insight => insights,
        LogType::Other => false,
    }
}

/// Whether the file name of `key` ends with `.json`, `.json.gz` or `.gz`, in lower case, after at least one
/// character.
fn has_log_suffix(key: &str) -> bool {
    let name = file_name(key);
    [".json", ".gz"]
        .iter()
        .any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
}

/// Whether the name ends as Firehose ends names without a suffix: `-YYYY-MM-DD-HH-MM-SS-<uuid>`.
fn is_firehose_name(name: &str) -> bool {
    firehose_times(name).any(|(_, rest)| rest.is_empty())
}

/// The time in the file name of `key`, in seconds since the epoch.
///
/// It has the form `YYYYMMDDTHHmmZ`, or `YYYYMMDDTHHMMSSZ` as in digests, between characters that are not alphanumeric.
/// The first valid one after `_CloudTrail` counts, else the first in the name, else the one that Firehose writes.
pub fn time(key: &str) -> Option<i64> {
    let name = file_name(key);
    let after_log_name = name.find("_CloudTrail").map(|at| &name[at..]);
    after_log_name
        .and_then(first_time)
        .or_else(|| first_time(name))
        .or_else(|| Some(firehose_times(name).next()?.0))
}

/// Each time of the form `-YYYY-MM-DD-HH-MM-SS-<uuid>` in a file name, in UTC, and the text after the UUID, which is
/// empty or starts with a dot.
fn firehose_times(name: &str) -> impl Iterator<Item = (i64, &str)> {
    /// Length of the time with the hyphens around it, and of the UUID.
    const LEN: usize = 21 + 36;
    let last = name.len().checked_sub(LEN);
    let starts = (0..last.map_or(0, |last| last + 1)).rev();
    starts.filter_map(|at| {
        let (time, rest) = name.as_bytes()[at..].split_at_checked(21)?;
        let (uuid, rest) = rest.split_at_checked(36)?;
        let time = hyphenated_time(time.first_chunk()?)?;
        let ends = rest.is_empty() || rest[0] == b'.';
        // An offset after ASCII is a character's boundary.
        (is_uuid(uuid) && ends).then_some((time, name.get(at + LEN..)?))
    })
}

/// Parses `-YYYY-MM-DD-HH-MM-SS-`.
fn hyphenated_time(text: &[u8; 21]) -> Option<i64> {
    let hyphens = [0, 5, 8, 11, 14, 17, 20];
    if hyphens.iter().any(|&at| text[at] != b'-') {
        return None;
    }
    timestamp::from_civil(
        timestamp::number(&text[1..5])?,
        timestamp::number(&text[6..8])?,
        timestamp::number(&text[9..11])?,
        timestamp::number(&text[12..14])?,
        timestamp::number(&text[15..17])?,
        timestamp::number(&text[18..20])?,
    )
}

/// Whether `text` is hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn is_uuid(text: &[u8]) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match byte {
            b'-' => hyphens.contains(&at),
            byte => byte.is_ascii_hexdigit() && !hyphens.contains(&at),
        })
}

fn first_time(name: &str) -> Option<i64> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .find_map(compact_time)
}

/// Parses `YYYYMMDDTHHmmZ` or `YYYYMMDDTHHMMSSZ`.
fn compact_time(text: &str) -> Option<i64> {
    let (date, clock) = text
        .strip_suffix('Z')?
        .as_bytes()
        .split_first_chunk::<8>()?;
    let (year, month_and_day) = date.split_at(4);
    let (month, day) = month_and_day.split_at(2);
    let (hour, minute, second) = match clock {
        [b'T', clock @ ..] if matches!(clock.len(), 4 | 6) => {
            (&clock[..2], &clock[2..4], &clock[4..])
        }
        _ => return None,
    };
    timestamp::from_civil(
        timestamp::number(year)?,
        timestamp::number(month)?,
        timestamp::number(day)?,
        timestamp::number(hour)?,
        timestamp::number(minute)?,
        timestamp::number(second)?,
    )
}

/// Decodes a URL-encoded key: `+` is a space, `%` with two hexadecimal digits a byte, any other `%` itself. `None` if the
/// result is not UTF-8.
pub(crate) fn url_decoded(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    percent_decode_str(&key)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Type of the log that a key names.
enum LogType {
    CloudTrail,
    Insight,
    /// CloudTrail's digests, or the log of another service.
    Other,
    /// Not a key that AWS writes.
    Unknown,
}

/// Log type by the file name, else by the prefix: copies are more likely to keep the file name.
fn log_type(key: &str) -> LogType {
    type_of_file_name(file_name(key))
        .or_else(|| service_of(key).and_then(type_of_service))
        .unwrap_or(LogType::Unknown)
}

/// Names of other logs in file names, which AWS joins to an account ID with `_`.
const OTHER_FILE_NAMES: [&str; 9] = [
    "CloudTrail-Digest",
    "Config",
    "VpcLatticeAccess",
    "elasticloadbalancing",
    "globalaccelerator",
    "redshift",
    "vpcdnsquerylogs",
    "vpcflowlogs",
    "waflogs",
];

fn type_of_file_name(name: &str) -> Option<LogType> {
    // AWS WAF demands this prefix of the Firehose streams for its logs.
    if name.starts_with("aws-waf-logs-") && firehose_times(name).next().is_some() {
        return Some(LogType::Other);
    }
    let mut previous = "";
    let mut is_other = false;
    let mut previous_is_other = false;
    for part in name.split('_') {
        if ends_with_account(previous) {
            match part {
                "CloudTrail" | "CloudTrail-NetworkActivity" | "CloudTrail-Aggregated" => {
                    return Some(LogType::CloudTrail);
                }
                "CloudTrail-Insight" => return Some(LogType::Insight),
                _ => is_other |= OTHER_FILE_NAMES.contains(&part),
            }
        }
        // Resolver query logs have the account after the name of the log.
        is_other |= previous_is_other && is_account(part);
        previous_is_other = OTHER_FILE_NAMES.contains(&part);
        previous = part;
    }
    is_other.then_some(LogType::Other)
}

/// Services below `AWSLogs/<account>/` other than CloudTrail.
///
/// Unknown ones are read: an unneeded file costs little, a skipped log hides events.
const OTHER_SERVICES: [&str; 16] = [
    "BedrockModelInvocationLogs",
    "CloudFront",
    "CloudTrail-Digest",
    "Config",
    "GuardDuty",
    "KafkaBrokerLogs",
    "QDeveloperLogs",
    "VerifiedAccess",
    "VpcLattice",
    "WAFLogs",
    "elasticloadbalancing",
    "globalaccelerator",
    "network-firewall",
    "redshift",
    "vpcdnsquerylogs",
    "vpcflowlogs",
];

fn type_of_service(service: &str) -> Option<LogType> {
    match service {
        "CloudTrail" | "CloudTrail-NetworkActivity" | "CloudTrail-Aggregated" => {
            Some(LogType::CloudTrail)
        }
        "CloudTrail-Insight" => Some(LogType::Insight),
        _ => OTHER_SERVICES.contains(&service).then_some(LogType::Other),
    }
}

/// The `<service>` of the innermost `AWSLogs/[<organization>/]<account>/<service>/` in `key`.
fn service_of(key: &str) -> Option<&str> {
    let (path, _) = key.rsplit_once('/')?;
    let mut found = None;
    let mut parts = path.split('/');
    while let Some(part) = parts.next() {
        if part != "AWSLogs" {
            continue;
        }
        let mut below = parts.clone();
        let account = match below.next() {
            Some(organization) if organization.starts_with("o-") => below.next(),
            account => account,
        };
        // The Hive-compatible layout is `aws-account-id=<account>/aws-service=<service>`.
        let account = account.map(|a| a.strip_prefix("aws-account-id=").unwrap_or(a));
        if account.is_some_and(is_account) {
            let service = below.next();
            found = service
                .map(|s| s.strip_prefix("aws-service=").unwrap_or(s))
                .or(found);
        }
    }
    found
}

/// Whether `text` is an AWS account ID: 12 digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `part` is an account ID, or ends with one after a dot as in `conn_log.<account>` of load balancers.
fn ends_with_account(part: &str) -> bool {
    is_account(part.rsplit('.').next().unwrap_or(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: &str = "123456789012_CloudTrail_us-east-1_20230710T2015Z_Zg9kWvQ8VbYxT1aB.json.gz";
    const FOLDERS: &str = "us-east-1/2023/07/10";

    /// 2023-07-10T20:15:00Z.
    const TIME: i64 = 1_689_020_100;

    #[test]
    fn time_of_a_log_is_in_its_name() {
        assert_eq!(time(LOG), Some(TIME));
        let key = format!("trail/AWSLogs/o-abc123/123456789012/CloudTrail/{FOLDERS}/{LOG}");
        assert_eq!(time(&key), Some(TIME));
    }

    #[test]
    fn time_of_a_digest_has_seconds() {
        let name =
            "123456789012_CloudTrail-Digest_us-east-1_trail_us-east-1_20230710T201547Z.json.gz";
        assert_eq!(time(name), Some(TIME + 47));
    }

    #[test]
    fn times_in_other_names_are_found() {
        for name in [
            "20230710T2015Z.json",
            "export-20230710T2015Z-part1.gz",
            "x_20231310T2015Z_20230710T2015Z_.gz",
            "backup-20200101T0000Z_123456789012_CloudTrail_us-east-1_20230710T2015Z_x.json.gz",
            "123456789012_CloudTrail_us-east-1_20230710T2015Z_x_copied-20240101T0000Z.json.gz",
            "20230710T2015Z_CloudTrail.json",
            "é20230710T2015Zé.json",
        ] {
            assert_eq!(time(name), Some(TIME), "{name}");
        }
    }

    #[test]
    fn names_without_a_valid_time_have_none() {
        for name in [
            "",
            "events.json",
            "20230710T2015Z/events.json",
            "20230710T2015.json",
            "20230710T20150Z.json",
            "120230710T2015Z.json",
            "20230710T2015Zx.json",
            "20230710t2015Z.json",
            "20230229T2015Z.json",
            "20231310T2015Z.json",
            "20230710T2460Z.json",
            "2023071éT2015Z.json",
        ] {
            assert_eq!(time(name), None, "{name}");
        }
    }

    #[test]
    fn logs_are_recognized_below_any_prefix() {
        let account = "123456789012/CloudTrail";
        for prefix in [
            String::new(),
            format!("AWSLogs/{account}/{FOLDERS}/"),
            format!("trail/AWSLogs/{account}/{FOLDERS}/"),
            format!("AWSLogs/o-abc123/{account}/{FOLDERS}/"),
            format!("o-abc123/AWSLogs/{account}/{FOLDERS}/"),
            format!("Configuration/AWSLogs/{account}/{FOLDERS}/"),
            format!("Config/AWSLogs/{account}/{FOLDERS}/"),
            format!("vpcflowlogs/elasticloadbalancing/AWSLogs/{account}/{FOLDERS}/"),
            format!("AWSLogs/AWSLogs/{account}/{FOLDERS}/"),
            format!("AWSLogs/123456789012/Config/AWSLogs/{account}/{FOLDERS}/"),
            "CloudTrail-Digest/".to_owned(),
            "AWSLogs/123456789012/Config/".to_owned(),
        ] {
            assert!(is_log(&format!("{prefix}{LOG}"), false), "{prefix}");
        }
    }

    #[test]
    fn other_names_are_accepted_by_their_suffix() {
        for key in [
            "events.json",
            "a/b/events.json.gz",
            "events.log.gz",
            "Config/events.json",
            "AWSLogs/Config/events.json",
            "AWSLogs/team/vpcflowlogs/events.json",
            "my_Config_events.json",
            "AWSLogs/123456789012/events.json",
            "AWSLogs/123456789012/ours/events.json",
            "AWSLogs/123456789012/CloudTrail-Aggregated/events.json",
        ] {
            assert!(is_log(key, false), "{key}");
        }
        for key in [
            "",
            "events",
            "events.JSON",
            "events.json.GZ",
            "events.json.bz2",
            "events.jsonl",
            ".json",
            "a/.gz",
            "json",
            "logs.gz/",
            "logs.json/README",
        ] {
            assert!(!is_log(key, true), "{key}");
        }
    }

    #[test]
    fn network_activity_and_aggregated_events_are_logs() {
        for kind in ["CloudTrail-NetworkActivity", "CloudTrail-Aggregated"] {
            let name = format!("123456789012_{kind}_us-east-1_20230710T2015Z_a1B2.json.gz");
            for key in [
                name.clone(),
                format!("trail/AWSLogs/o-abc123/123456789012/{kind}/{FOLDERS}/{name}"),
                format!("AWSLogs/123456789012/{kind}/events.json"),
                // A copy of one in the folder of another service.
                format!("AWSLogs/123456789012/Config/{name}"),
            ] {
                assert!(is_log(&key, false), "{key}");
            }
            assert_eq!(time(&name), Some(TIME));
        }
    }

    #[test]
    fn names_that_firehose_writes_are_logs_and_have_a_time() {
        let id = "0a1b2c3d-4e5f-6071-8293-A4B5C6D7E8F9";
        for (name, seconds) in [
            (format!("trail-1-2023-07-10-20-15-47-{id}"), 47),
            (
                format!("2023/07/10/20/cwl-to-s3-12-2023-07-10-20-15-00-{id}"),
                0,
            ),
            (format!("ключ-2023-07-10-20-15-00-{id}"), 0),
            (
                format!("x-2020-01-01-00-00-00-{id}-1-2023-07-10-20-15-09-{id}"),
                9,
            ),
        ] {
            assert!(is_log(&name, false), "{name}");
            assert_eq!(time(&name), Some(TIME + seconds), "{name}");
        }
        let suffixed = format!("trail-1-2023-07-10-20-15-47-{id}.gz");
        assert!(is_log(&suffixed, false));
        assert_eq!(time(&suffixed), Some(TIME + 47));
        for name in [
            format!("trail-1-2023-07-10-20-15-47-{id}x"),
            format!("trail-1-2023-07-10-20-15-47-{id}.parquet"),
            format!("trail-1-2023-07-10-20-15-47-{}", &id[1..]),
            format!("trail-1-2023-13-10-20-15-47-{id}"),
            format!("trail-1-2023-07-10-20-15-{id}"),
            "trail-1-2023-07-10-20-15-47-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8g9".to_owned(),
            format!("2023-07-10-20-15-47-{id}"),
            format!("{id}/é"),
            format!("aws-waf-logs-x-1-2023-07-10-20-15-47-{id}"),
            format!("aws-waf-logs-x-1-2023-07-10-20-15-47-{id}.gz"),
            format!("AWSLogs/123456789012/vpcflowlogs/a-2023-07-10-20-15-47-{id}"),
        ] {
            assert!(!is_log(&name, true), "{name}");
        }
    }

    #[test]
    fn insights_are_logs_only_with_the_option() {
        let name = "123456789012_CloudTrail-Insight_us-east-1_20230710T2015Z_a1B2.json.gz";
        let folder = "AWSLogs/123456789012/CloudTrail-Insight";
        for key in [
            name.to_owned(),
            format!("{folder}/{FOLDERS}/{name}"),
            format!("{folder}/events.json.gz"),
        ] {
            assert!(is_log(&key, true), "{key}");
            assert!(!is_log(&key, false), "{key}");
        }
    }

    #[test]
    fn digests_and_logs_of_other_services_are_no_logs() {
        let names = [
            "123456789012_CloudTrail-Digest_us-east-1_trail_us-east-1_20230710T201547Z.json.gz",
            "123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20230710T2015Z_fe123456.log.gz",
            "123456789012_elasticloadbalancing_us-east-1_app.lb.1234_20230710T2015Z_10.0.0.1_5x.log.gz",
            "conn_log.123456789012_elasticloadbalancing_us-east-1_app.lb.1_20230710T2015Z_10.0.0.1_5x.log.gz",
            "123456789012_Config_us-east-1_ConfigSnapshot_20230710T201547Z_0a1b.json.gz",
            "123456789012_Config_us-east-1_ConfigHistory_AWS::EC2::Instance_20230710T201547Z_20230710T211547Z_1.json.gz",
            "123456789012_waflogs_us-east-1_acl_20230710T2015Z_0a1b.log.gz",
            "vpc-0a1b_vpcdnsquerylogs_123456789012_20230710T2015Z_0a1b.log.gz",
            "123456789012_redshift_us-east-1_cluster_useractivitylog_2023-07-10T20:15.gz",
            "123456789012_VpcLatticeAccess_us-east-1_svc-1_20230710T2015Z_0a1b.json.gz",
            "123456789012_globalaccelerator_1234_20230710T2015Z_0a1b.log.gz",
        ];
        for name in names {
            assert!(!is_log(name, true), "{name}");
            assert!(!is_log(&format!("copies/{name}"), true), "{name}");
        }
        for folder in OTHER_SERVICES {
            for root in [
                "AWSLogs/123456789012",
                "trail/AWSLogs/o-abc123/123456789012",
                "o-abc123/AWSLogs/123456789012",
                "CloudTrail/AWSLogs/123456789012",
            ] {
                let key = format!("{root}/{folder}/{FOLDERS}/0a1b.json.gz");
                assert!(!is_log(&key, true), "{key}");
            }
        }
        let hive = "AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/year=2023/0a1b.gz";
        assert!(!is_log(hive, true));
    }

    #[test]
    fn encoded_keys_are_decoded_byte_by_byte() {
        for (encoded, decoded) in [
            ("", Some("")),
            ("a+b", Some("a b")),
            ("a%2Bb%2fc", Some("a+b/c")),
            ("%E2%82%AC", Some("€")),
            ("100%", Some("100%")),
            ("%4", Some("%4")),
            ("%zz%+1", Some("%zz% 1")),
            ("%%41", Some("%A")),
            ("%2541", Some("%41")),
            ("ä+ö", Some("ä ö")),
            ("%FF", None),
        ] {
            assert_eq!(url_decoded(encoded).as_deref(), decoded, "{encoded}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_keys_do_not_panic(key in "\\PC{0,60}(_CloudTrail)?[0-9TZ_é]{0,20}(\\.json|\\.gz)?") {
            let _ = (is_log(&key, true), time(&key));
        }

        #[test]
        fn no_prefix_excludes_a_log(prefix in "([A-Za-z_-]{1,8}/|AWSLogs/|Config/|[0-9]{12}/|vpcflowlogs/){0,5}") {
            let key = format!("{prefix}AWSLogs/123456789012/CloudTrail/{FOLDERS}/{LOG}");
            prop_assert!(is_log(&key, false), "{}", key);
            prop_assert_eq!(time(&key), Some(TIME));
        }
    }
}
