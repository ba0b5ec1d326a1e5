//! `sqs://` in an outage that lasts longer than several visibility timeouts: the time of it is all that is lost.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::aws::feed::Feed;
use crate::server::fault::{Fault, Rule};
use crate::setup::{
    NAME, RECOVERY, Watched, assert_all, assert_no_dead_letters, assert_once, bucket_and_queue,
    ids, receives, send, settings,
};

/// Four visibility timeouts: what is not extended is received more often than the queue allows.
const OUTAGE: Duration = Duration::from_secs(16);

const MESSAGES: usize = 60;

/// Only S3 fails. The queue works, so no message may be received a second time.
fn outage_of_s3(fault: Fault, most: u32, length: Duration) {
    let server = bucket_and_queue(MESSAGES, most);
    send(&server, 0..10);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    assert!(
        watched.until(RECOVERY, |ids| ids.len() >= 10),
        "it does not start"
    );
    server.fault(Rule::of("s3", fault));
    send(&server, 10..40);
    watched.during(length / 2);
    send(&server, 40..MESSAGES);
    watched.during(length / 2);
    assert_eq!(
        watched.reading.ids.len(),
        10,
        "the fault lets objects through"
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
}

pub fn s3_answers_503() {
    outage_of_s3(Fault::Refuse(503, "ServiceUnavailable"), 2, OUTAGE);
}

pub fn s3_resets_connections() {
    outage_of_s3(Fault::Reset, 2, OUTAGE);
}

pub fn s3_calls_the_token_expired() {
    outage_of_s3(Fault::Refuse(400, "ExpiredToken"), 2, OUTAGE);
}

pub fn s3_denies_access() {
    outage_of_s3(Fault::Refuse(403, "AccessDenied"), 2, OUTAGE);
}

pub fn kms_key_is_disabled() {
    outage_of_s3(Fault::Refuse(400, "KMS.DisabledException"), 2, OUTAGE);
}

pub fn captive_portal_in_front_of_s3() {
    outage_of_s3(Fault::Portal, 2, OUTAGE);
}

/// As long as eight visibility timeouts, with a queue that allows a single receive.
pub fn longer_than_all_receives() {
    outage_of_s3(
        Fault::Refuse(400, "KMS.KMSInvalidStateException"),
        1,
        OUTAGE * 2,
    );
}

/// Both services fail. Messages in flight lapse because nothing can extend them, which costs at most one receive.
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
        "it does not start"
    );
    // Some of the messages are in flight when it begins.
    server.fault(Rule::of("GetObject", Fault::Delay(Duration::from_secs(2))));
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
        |server| server.fault(Rule::of("", Fault::Portal)),
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

/// The credentials are refused everywhere until the shared file has others.
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
        "it does not start"
    );
    for (operation, code) in [("s3", "ExpiredToken"), ("sqs", "ExpiredToken")] {
        server.fault(Rule::of(operation, Fault::Refuse(400, code)).signed_by(OLD));
    }
    send(&server, 10..MESSAGES);
    watched.during(OUTAGE / 2);
    assert_eq!(watched.reading.ids.len(), 10, "the old key still works");
    write("AKIANEWEXAMPLE000000");
    watched.until_empty(RECOVERY);
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
