//! `sqs://` in an outage of several visibility timeouts: it delays records, and loses none.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use cloudtrail::host::Severity;

use crate::aws::feed::Feed;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{
    NAME, RECOVERY, Watched, assert_all, assert_line, assert_no_dead_letters, assert_once,
    bucket_and_queue, complaints, ids, notification, receives, send, settings,
};

/// Four visibility timeouts: a message that is not extended exceeds the queue's `maxReceiveCount`.
const OUTAGE: Duration = Duration::from_secs(16);

const MESSAGES: usize = 60;

/// Only S3 fails. The queue works, so no message may be received a second time. Returns the warnings and errors.
fn outage_of_s3(fault: ServerFault, most: u32, length: Duration) -> Vec<String> {
    let server = bucket_and_queue(MESSAGES, most);
    send(&server, 0..10);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    assert!(
        watched.until(RECOVERY, |ids| ids.len() >= 10),
        "no records before the outage"
    );
    server.fault(ServerRule::of("s3", fault));
    send(&server, 10..40);
    watched.during(length / 2);
    send(&server, 40..MESSAGES);
    watched.during(length / 2);
    assert_eq!(
        watched.reading.ids.len(),
        10,
        "records were delivered during the outage"
    );
    server.end_faults();
    watched.until_empty(RECOVERY);
    assert_no_dead_letters(&server);
    assert_once(&watched.reading.ids, &ids(MESSAGES));
    assert_eq!(
        receives(&server),
        [(1, MESSAGES)].into(),
        "receives of the messages"
    );
    complaints(&feed)
}

pub fn s3_answers_503() {
    outage_of_s3(ServerFault::Refuse(503, "ServiceUnavailable"), 2, OUTAGE);
}

pub fn s3_resets_connections() {
    outage_of_s3(ServerFault::Reset, 2, OUTAGE);
}

pub fn s3_answers_expired_token() {
    let lines = outage_of_s3(ServerFault::Refuse(400, "ExpiredToken"), 2, OUTAGE);
    assert_line(&lines, &["bucket trail", "requests fail", "ExpiredToken"]);
}

pub fn s3_denies_access() {
    outage_of_s3(ServerFault::Refuse(403, "AccessDenied"), 2, OUTAGE);
}

pub fn kms_key_is_disabled() {
    outage_of_s3(ServerFault::Refuse(400, "KMS.DisabledException"), 2, OUTAGE);
}

pub fn captive_portal_in_front_of_s3() {
    outage_of_s3(ServerFault::Portal, 2, OUTAGE);
}

/// Eight visibility timeouts, with a queue that allows a single receive.
pub fn longer_than_all_receives() {
    outage_of_s3(
        ServerFault::Refuse(400, "KMS.KMSInvalidStateException"),
        1,
        OUTAGE * 2,
    );
}

/// Both services fail. Messages in flight become visible because extensions fail too, which costs at most one receive.
/// Deletions fail for longer than all receives of a message take: they are kept hidden, and deleted afterwards.
pub fn deletions_fail() {
    let server = bucket_and_queue(MESSAGES, 2);
    for operation in ["DeleteMessageBatch", "DeleteMessage"] {
        server.fault(ServerRule::of(
            operation,
            ServerFault::Refuse(503, "ServiceUnavailable"),
        ));
    }
    send(&server, 0..MESSAGES);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.during(OUTAGE);
    server.end_faults();
    watched.until_empty(RECOVERY);
    assert_no_dead_letters(&server);
    assert_once(&watched.reading.ids, &ids(MESSAGES));
    let lines = complaints(&feed);
    assert_line(&lines, &["cannot be deleted", "ServiceUnavailable"]);
}

/// A bucket whose downloads hang does not hold up others, and its messages are kept.
pub fn bucket_that_hangs_delays_no_other() {
    let server = bucket_and_queue(MESSAGES, 5);
    let body = |number: usize| {
        let key = format!("logs/hangs-{number}.json.gz");
        serde_json::json!({"s3Bucket": "hanging", "s3ObjectKey": [key]}).to_string()
    };
    server.sqs(|queues| {
        for number in 0..300 {
            queues.send(NAME, body(number));
        }
    });
    send(&server, 0..MESSAGES);
    server.fault(ServerRule::of("GetObject", ServerFault::Hang).path("hangs-"));
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    let delivered = watched.until(RECOVERY, |ids| ids.len() >= MESSAGES);
    assert!(delivered, "{} records", watched.reading.ids.len());
    let lines = complaints(&feed);
    assert_line(&lines, &["bucket hanging", "no download has finished"]);
}

/// Messages that name thousands of keys that cannot be read take bounded memory, and hold up no others.
pub fn messages_with_thousands_of_keys_take_bounded_memory() {
    let server = bucket_and_queue(MESSAGES, 5);
    server.sqs(|queues| {
        for message in 0..120 {
            let keys = (0..1400).map(|key| format!("logs/denied-{message}-{key}.json.gz"));
            queues.send(NAME, notification(keys));
        }
    });
    send(&server, 0..MESSAGES);
    server.fault(
        ServerRule::of("GetObject", ServerFault::Refuse(403, "AccessDenied")).path("denied-"),
    );
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    let delivered = watched.until(RECOVERY, |ids| ids.len() >= MESSAGES);
    assert!(delivered, "{} records", watched.reading.ids.len());
    // Each weighs at least 150 of 10,000 in all: 100 objects, and 38 KB of body. Each good one weighs 1.
    let parked = feed.metric("messages.parked");
    assert!(parked <= 10_000 / 150 + MESSAGES as u64, "{parked} parked");
}

fn outage_of_everything(
    begin: impl FnOnce(&crate::server::FaultServer),
    end: impl FnOnce(&crate::server::FaultServer),
) {
    let server = bucket_and_queue(MESSAGES, 5);
    send(&server, 0..10);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    assert!(
        watched.until(RECOVERY, |ids| ids.len() >= 10),
        "no records before the outage"
    );
    // Some messages are in flight when the outage begins.
    server.fault(ServerRule::of(
        "GetObject",
        ServerFault::Delay(Duration::from_secs(2)),
    ));
    send(&server, 10..40);
    watched.until(RECOVERY, |_| server.count("GetObject") > 10);
    begin(&server);
    send(&server, 40..MESSAGES);
    watched.during(OUTAGE);
    end(&server);
    watched.until_empty(RECOVERY);
    assert_no_dead_letters(&server);
    assert_all(&watched.reading.ids, &ids(MESSAGES));
    let most = receives(&server).into_keys().max();
    assert!(
        most <= Some(2),
        "receives of the messages: {:?}",
        receives(&server)
    );
}

pub fn captive_portal_in_front_of_everything() {
    outage_of_everything(
        |server| server.fault(ServerRule::of("", ServerFault::Portal)),
        |server| server.end_faults(),
    );
}

pub fn network_is_down() {
    outage_of_everything(
        |server| server.set_network(false),
        |server| {
            server.end_faults();
            server.set_network(true);
        },
    );
}

/// Both services refuse the credentials until the shared file has others.
pub fn credentials_expire_until_the_file_is_rewritten() {
    const OLD: &str = "AKIAOLDEXAMPLE000000";
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rotated-{}", std::process::id()));
    let write = |key: &str| {
        let draft = file.with_extension("draft");
        let text = format!(
            "[default]\naws_access_key_id = {key}\naws_secret_access_key = secretEXAMPLE\n"
        );
        fs::write(&draft, text).expect("a file");
        fs::rename(&draft, &file).expect("the file in its place");
    };
    write(OLD);
    let server = bucket_and_queue(MESSAGES, 5);
    send(&server, 0..10);
    let path = file.to_str().expect("UTF-8");
    let feed = Feed::new(&settings(&server).with_aws("credentials", path));
    let mut watched = Watched::open(&feed, &server);
    assert!(
        watched.until(RECOVERY, |ids| ids.len() >= 10),
        "no records before the outage"
    );
    for (operation, code) in [("s3", "ExpiredToken"), ("sqs", "ExpiredToken")] {
        server.fault(ServerRule::of(operation, ServerFault::Refuse(400, code)).signed_by(OLD));
    }
    send(&server, 10..MESSAGES);
    watched.during(OUTAGE / 2);
    assert_eq!(watched.reading.ids.len(), 10, "the old key still works");
    write("AKIANEWEXAMPLE000000");
    watched.until_empty(RECOVERY);
    assert_line(&feed.logged(Severity::Error), &["ExpiredToken"]);
    let _ = fs::remove_file(&file);
    assert_no_dead_letters(&server);
    assert_all(&watched.reading.ids, &ids(MESSAGES));
    assert!(server.sqs(|queues| {
        queues
            .messages(NAME)
            .iter()
            .all(|message| message.receives <= 2)
    }));
}

/// The program that has given credentials for 11 seconds does not end when it is asked for others.
pub fn credentials_provider_that_hangs_is_named() {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hanging-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let (script, config) = (folder.join("script"), folder.join("config"));
    let text = format!(
        r#"[ -e {asked} ] && exec sleep 30
touch {asked}
printf '{{"Version":1,"AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"secretEXAMPLE","Expiration":"%s"}}' "$(date -u -d '+11 seconds' +%Y-%m-%dT%H:%M:%SZ)"
"#,
        asked = folder.join("asked").display()
    );
    fs::write(&script, text).expect("a script");
    let profile = format!("[default]\ncredential_process = sh {}\n", script.display());
    fs::write(&config, profile).expect("a file");
    let server = bucket_and_queue(1, 5);
    let path = config.to_str().expect("UTF-8");
    let settings = settings(&server)
        .with_aws("config", path)
        .with_aws("credentials", path);
    let feed = Feed::new(&settings);
    let mut watched = Watched::open(&feed, &server);
    let named = |line: &String| {
        line.contains("messages cannot be received")
            && line.contains("the credentials provider does not answer")
    };
    watched.until(RECOVERY, |_| feed.logged(Severity::Error).iter().any(named));
    let lines = feed.logged(Severity::Error);
    assert!(lines.iter().any(named), "{lines:#?}");
    let _ = fs::remove_dir_all(&folder);
}
