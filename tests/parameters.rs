//! Configuration and open parameters, and the errors about wrong ones.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use cloudtrail::host::{OwnedValue as Value, Plugin, Severity};
use serde_json::json;
use support::scratch::{Scratch, gzip, plain_log};

#[test]
fn log_files_are_read_in_path_order_and_others_ignored() {
    let scratch = Scratch::new("order");
    for name in ["b/1.json", "a/2.json.gz", "a/10.json", "c.gz", "a.json"] {
        scratch.write(name, &plain_log(&format!("{name} "), 1));
    }
    for name in [
        "notes.txt",
        "a/README",
        "b/log.json.bak",
        "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/d.json",
    ] {
        scratch.write(name, &plain_log("not a log", 1));
    }
    let plugin = support::plugin("");
    let id = plugin.request("ct.id").expect("a field");
    let mut ids = Vec::new();
    support::each_event(&plugin, scratch.path(), |event| {
        let given = plugin.extract_values(event, &[&id], false).expect("values");
        ids.push(given[0].value.clone().expect("an id"));
    });
    // `a.json` may come before or after the files in `a/`: both are path orders.
    let expected = ["a/10.json 0", "a/2.json.gz 0", "b/1.json 0", "c.gz 0"].map(Value::from);
    ids.retain(|id| *id != Value::from("a.json 0"));
    assert_eq!(ids, expected);
}

#[test]
fn single_file_is_read_whatever_its_name() {
    let scratch = Scratch::new("any-name");
    let plugin = support::plugin("");
    for name in [
        "log",
        "log.txt",
        "log.json.gz.1",
        "with space.json",
        "ünïcode.json",
    ] {
        for content in [plain_log("r-", 2), gzip(&plain_log("r-", 2))] {
            let path = scratch.write(name, &content);
            assert_eq!(support::payloads(&plugin, &path).len(), 2, "{name}");
        }
    }
}

#[test]
fn open_errors_name_the_path_or_source() {
    let plugin = support::plugin("");
    let scratch = Scratch::new("open-errors");
    let missing = scratch.path().join("no-such-folder");
    scratch.write("empty/notes.txt", b"nothing");
    let empty = scratch.path().join("empty");
    for path in [missing, empty] {
        let path = path.to_str().expect("UTF-8");
        let error = refused(&plugin, path);
        assert!(error.contains(path), "{error:?} does not name {path}");
        assert_eq!(error.lines().count(), 1, "{error:?}");
    }
    for path in ["file:///var/log", "https://queue"] {
        let error = refused(&plugin, path);
        assert!(error.contains("sqs://<queue>"), "{error:?}");
    }
    let error = refused(&plugin, "");
    assert!(
        error.contains("s3://") && error.contains("sqs://"),
        "{error:?} does not say what is accepted"
    );
}

#[test]
#[cfg(unix)]
fn unreadable_path_is_named_at_open() {
    let scratch = Scratch::new("loop");
    let path = scratch.path().join("loop.json");
    std::os::unix::fs::symlink("loop.json", &path).expect("a link");
    let error = refused(&support::plugin(""), path.to_str().expect("UTF-8"));
    assert!(
        error.contains("loop.json"),
        "{error:?} does not name the file"
    );
}

#[test]
#[cfg(unix)]
fn file_without_read_permission_is_named_at_open() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("permissions");
    let secret = scratch.write("secret.json", &plain_log("r-", 1));
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).expect("my own file");
    // Root may read every file, except for some of the kernel's.
    let unreadable = [secret, "/sys/bus/cpu/drivers_probe".into()];
    let mut unreadable = unreadable
        .iter()
        .filter(|path| path.is_file() && std::fs::File::open(path).is_err());
    let path = unreadable
        .next()
        .and_then(|path| path.to_str())
        .expect("a file that may not be read: run this test as another user than root");
    let error = refused(&support::plugin(""), path);
    assert!(error.contains(path), "{error:?} does not name the file");
}

#[test]
fn lost_log_that_cannot_be_written_is_named_at_open() {
    let plugin = support::plugin(r#"{"lostLog":"/no/such/folder/lost.jsonl"}"#);
    let logs = support::testdata("logs");
    let error = refused(&plugin, logs.to_str().expect("UTF-8"));
    for part in ["lostLog", "/no/such/folder/lost.jsonl", "No such file"] {
        assert!(error.contains(part), "{error:?} does not name {part}");
    }
}

#[test]
fn keys_without_effect_for_the_source_are_named_in_a_warning() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let config = r#"{"S3Interval":"5d","sqsDelete":false,"useS3SNS":true,"decodeThreads":1,"aws":{"region":"eu-west-1"}}"#;
    let plugin = Plugin::load_with_log(&support::library(), config, move |severity, text| {
        let _ = sender.send((severity, text.to_owned()));
    });
    let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
    support::payloads(&plugin, &support::testdata("logs"));
    drop(plugin);
    let warnings: Vec<_> = receiver
        .iter()
        .filter(|(severity, text)| *severity == Severity::Warning && text.contains("no effect"))
        .map(|(_, text)| text)
        .collect();
    assert_eq!(
        warnings,
        ["init configuration: s3Interval, sqsDelete, aws.region have no effect for a local path"]
    );
}

#[test]
fn white_space_around_a_path_is_ignored() {
    let plugin = support::plugin("");
    let logs = support::testdata("logs");
    let padded = format!(" {}\n", logs.display());
    let read = support::payloads(&plugin, std::path::Path::new(&padded));
    assert_eq!(read, support::payloads(&plugin, &logs));
}

#[test]
fn insights_are_delivered_on_request_only() {
    let logs = support::testdata("logs");
    let without = support::payloads(&support::plugin(""), &logs);
    let with = support::payloads(&support::plugin(r#"{"includeInsights":true}"#), &logs);
    let is_insight =
        |payload: &&Vec<u8>| payload.windows(20).any(|at| at == b"AwsCloudTrailInsight");
    assert_eq!(without.iter().filter(is_insight).count(), 0);
    assert_eq!(with.iter().filter(is_insight).count(), 1);
    assert_eq!(with.len(), without.len() + 1);
}

/// Stratoshark passes what its dialog shows: zeros and empty texts, where nothing was entered.
#[test]
fn zeros_and_empty_texts_of_a_saved_dialog_are_accepted() {
    let library = support::library();
    let schema = Plugin::init_schema(&library)
        .expect("the library loads")
        .expect("the plugin has a schema");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let mut config = json!({"aws": {}});
    let mut count = 0;
    for place in ["/properties", "/properties/aws/properties"] {
        let keys = schema.pointer(place).and_then(serde_json::Value::as_object);
        for (key, schema) in keys.expect("an object's keys") {
            let value = match schema["type"].as_str() {
                Some("integer") if schema["minimum"] == 0 => json!(0),
                Some("string") if schema["enum"].is_null() => json!(""),
                Some("boolean") => json!(false),
                _ => continue,
            };
            let object = match place.contains("aws") {
                true => &mut config["aws"],
                false => &mut config,
            };
            object[key] = value;
            count += 1;
        }
    }
    assert!(count > 25, "{config}");
    assert_eq!(config["decodeThreads"], 0);
    assert_eq!(config["sqsVisibilityTimeout"], 0);
    let plugin = support::plugin(&config.to_string());
    assert!(!support::payloads(&plugin, &support::testdata("logs")).is_empty());
}

#[test]
fn invalid_configuration_is_refused_with_key_and_value() {
    let library = support::library();
    for (config, words) in [
        ("{", &["JSON"][..]),
        ("[]", &["object"]),
        (r#"{"decodeThreads":-1}"#, &["decodeThreads", "-1", "64"]),
        (r#"{"s3RetryFor":"soon"}"#, &["s3RetryFor", "soon", "30m"]),
        (r#"{"decodeThreads":65}"#, &["decodeThreads", "65", "64"]),
        (r#"{"decodeThreads":"four"}"#, &["decodeThreads", "four"]),
        (r#"{"sqsDelete":"yes"}"#, &["sqsDelete", "yes"]),
        (r#"{"sqsWaitSeconds":21}"#, &["sqsWaitSeconds", "21", "20"]),
        (
            r#"{"s3DownloadConcurrency":0}"#,
            &["s3DownloadConcurrency", "0", "1024"],
        ),
        (
            r#"{"sqsDeleteWhen":"never"}"#,
            &["sqsDeleteWhen", "never", "delivered", "received"],
        ),
        (
            r#"{"s3OnError":"ignore"}"#,
            &["s3OnError", "ignore", "skip", "fail"],
        ),
        (r#"{"aws":{"useFips":1}}"#, &["useFips"]),
    ] {
        let error = match Plugin::load(&library, config) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{config} was accepted"),
        };
        for word in words {
            assert!(
                error.contains(word),
                "{config}: {error:?} does not name {word}"
            );
        }
    }
}

#[test]
fn configuration_keys_match_in_any_case_and_unknown_ones_warn_with_the_nearest() {
    let library = support::library();
    for config in [
        "",
        "{}",
        "null",
        r#"{"decodeThreads":0,"sqsVisibilityTimeout":0}"#,
        r#"{"S3Interval":"5d"}"#,
        r#"{"s3interval":"5d","SQSDELETE":false,"useAsync":false}"#,
    ] {
        if let Err(error) = Plugin::load(&library, config) {
            panic!("{config}: {error}");
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let plugin = Plugin::load_with_log(&library, r#"{"decodeThread":2}"#, move |severity, text| {
        let _ = sender.send((severity, text.to_owned()));
    });
    drop(plugin.unwrap_or_else(|error| panic!("an unknown key was refused: {error}")));
    let lines: Vec<_> = receiver.iter().collect();
    let warned = lines.iter().any(|(severity, text)| {
        *severity == Severity::Warning
            && text.contains("decodeThread")
            && text.contains("decodeThreads")
    });
    assert!(warned, "{lines:?}");
}

#[test]
fn schema_and_suggested_open_params_are_json() {
    let schema = Plugin::init_schema(&support::library())
        .expect("a plugin")
        .expect("a schema");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema["type"], serde_json::json!(["object", "null"]));
    for key in [
        "sqsDelete",
        "s3DownloadConcurrency",
        "s3Interval",
        "useS3SNS",
        "decodeThreads",
        "aws",
    ] {
        assert!(
            schema["properties"][key].is_object(),
            "{key} is not in the schema"
        );
    }
    let params = support::plugin("").open_params().expect("a list");
    let params: Vec<serde_json::Value> = serde_json::from_str(&params).expect("a JSON array");
    assert!(
        params
            .iter()
            .all(|it| it["value"].is_string() && it["desc"].is_string()),
        "{params:?}"
    );
}

fn refused(plugin: &Plugin, params: &str) -> String {
    match plugin.open(params) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{params:?} was opened"),
    }
}

#[test]
fn followed_folder_gives_new_files_once_they_are_complete() {
    use std::time::{Duration, Instant};
    let scratch = Scratch::new("follow-folder");
    let plugin = support::plugin(r#"{"s3Follow": "1s"}"#);
    let request = plugin.request("ct.id").expect("a field");
    let mut capture = plugin
        .open(scratch.path().to_str().expect("UTF-8"))
        .expect("an empty folder");
    let mut ids = Vec::new();
    let mut read = |ids: &mut Vec<Value>, count: usize, time: Duration| {
        let end = Instant::now() + time;
        while ids.len() < count && Instant::now() < end {
            let (status, events) = capture.next_batch().expect("no failure");
            assert_ne!(status, cloudtrail::host::Status::Eof, "it never ends");
            for event in events {
                let values = plugin
                    .extract_values(event, &[&request], false)
                    .expect("values");
                let id = values[0].value.clone().expect("an id");
                ids.push(id);
            }
        }
    };
    read(&mut ids, 1, Duration::from_millis(300));
    assert!(ids.is_empty());
    scratch.write("a.json", &plain_log("a-", 2));
    scratch.write("deep/er/b.json.gz", &gzip(&plain_log("b-", 1)));
    scratch.write("notes.txt", b"no log");
    read(&mut ids, 3, Duration::from_secs(20));
    // A file that grows is not read until it is complete.
    let log = plain_log("c-", 3);
    for cut in [log.len() / 3, log.len() / 2, log.len()] {
        scratch.write("c.json", &log[..cut]);
        read(&mut ids, 4, Duration::from_millis(300));
    }
    // Renamed into place.
    let draft = scratch.write("d.tmp", &plain_log("d-", 1));
    std::fs::rename(draft, scratch.path().join("d.json")).expect("a new name");
    read(&mut ids, 7, Duration::from_secs(20));
    read(&mut ids, 8, Duration::from_secs(3));
    let expected = ["a-0", "a-1", "b-0", "c-0", "c-1", "c-2", "d-0"].map(Value::from);
    assert_eq!(ids.len(), expected.len(), "{ids:?}");
    assert!(expected.iter().all(|id| ids.contains(id)), "{ids:?}");
}
