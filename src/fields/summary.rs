//! Events in one line: the field `ct.info`, and the line that the host prints for an event.

use std::io::Write;

use super::extractors;
use super::field_extractor::TextExtractor;
use super::value::{RecordView, append_text, member};
use crate::json::ValueType;
use crate::key_table::KnownKey;

/// `<user> via <address> [!]<← or →> <event name> <detail>`: `!` for an error, `→` for a change.
pub(super) fn info(record: &mut RecordView<'_>, out: &mut Vec<u8>) -> bool {
    let user_start = out.len();
    if !non_empty(out, |out| user(record, out))
        && !non_empty(out, |out| record.append(KnownKey::IdentityType, out))
    {
        out.extend_from_slice(b"<NA>");
    }
    via(record, user_start, out);
    out.push(b' ');
    let before = out.len();
    if non_empty(out, |out| record.append(KnownKey::ErrorCode, out)) {
        out.truncate(before);
        out.push(b'!');
    }
    let arrow = if extractors::changes(record) {
        "→ "
    } else {
        "← "
    };
    out.extend_from_slice(arrow.as_bytes());
    let name_start = out.len();
    record.append(KnownKey::EventName, out);
    if &out[name_start..] == b"PutBucketPublicAccessBlock" {
        public_access_block(record, out);
    } else if !aggregate(record, out.len() > name_start, out) {
        detail(record, out);
    }
    true
}

/// Appends what an aggregated record counts: `<dimension>=<name>:<count>,…`. Returns `false` for other records.
fn aggregate(record: &mut RecordView<'_>, has_name: bool, out: &mut Vec<u8>) -> bool {
    /// More names do not help to recognize an event in one line.
    const NAMES: usize = 10;
    if record.value(KnownKey::Summary).is_none()
        || record.text(KnownKey::EventCategory).as_deref() != Some(b"Aggregated")
    {
        return false;
    }
    let Some(primary) = record.value(KnownKey::PrimaryDimension) else {
        return true;
    };
    let tape = record.tape;
    let append = |object, name: &[u8], out: &mut Vec<u8>| {
        member(tape, object, name).is_some_and(|value| append_text(tape, value, out))
    };
    let before = out.len();
    if has_name {
        out.push(b' ');
    }
    if !append(primary, b"dimension", out) {
        out.truncate(before);
        return true;
    }
    let statistics = member(tape, primary, b"statistics");
    let statistics = statistics.into_iter().flat_map(|list| tape.elements(list));
    for (index, statistic) in statistics.enumerate() {
        out.push(if index == 0 { b'=' } else { b',' });
        if index == NAMES {
            out.extend_from_slice("…".as_bytes());
            break;
        }
        append(statistic, b"name", out);
        out.push(b':');
        append(statistic, b"value", out);
    }
    true
}

fn user(record: &mut RecordView<'_>, out: &mut Vec<u8>) -> bool {
    extractors::user(record).is_some_and(|user| append_text(record.tape, user, out))
}

/// Appends the source address, unless it repeats the user: services have their name in both keys.
fn via(record: &mut RecordView<'_>, user_start: usize, out: &mut Vec<u8>) {
    let user_end = out.len();
    out.extend_from_slice(b" via ");
    let address_start = out.len();
    let has_address = non_empty(out, |out| record.append(KnownKey::SourceIpAddress, out));
    if !has_address || out[user_start..user_end] == out[address_start..] {
        out.truncate(user_end);
    }
}

fn public_access_block(record: &mut RecordView<'_>, out: &mut Vec<u8>) {
    let Some(settings) = record.value(KnownKey::PublicAccessBlockConfiguration) else {
        return;
    };
    if record.tape.value_type(settings) != ValueType::Object {
        return;
    }
    for name in [
        "BlockPublicAcls",
        "BlockPublicPolicy",
        "IgnorePublicAcls",
        "RestrictPublicBuckets",
    ] {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        if let Some(value) = member(record.tape, settings, name.as_bytes()) {
            append_text(record.tape, value, out);
        }
    }
}

/// Appends the size and the object of an S3 request, or the host that the request names.
fn detail(record: &mut RecordView<'_>, out: &mut Vec<u8>) {
    if let Some(bytes) = extractors::s3_bytes(record) {
        // Writing to a vector cannot fail.
        let _ = write!(out, " Size={bytes}");
    }
    let before = out.len();
    out.extend_from_slice(b" URI=");
    if extractors::s3_uri(record, out) {
        return;
    }
    for (label, key) in [
        (" Bucket=", KnownKey::BucketName),
        (" Key=", KnownKey::ObjectKey),
        (" Host=", KnownKey::RequestHost),
    ] {
        out.truncate(before);
        out.extend_from_slice(label.as_bytes());
        if non_empty(out, |out| record.append(key, out)) {
            return;
        }
    }
    out.truncate(before);
}

/// Runs `append`; returns whether it added at least one byte.
fn non_empty(out: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
    let before = out.len();
    append(out) && out.len() > before
}

/// Appends the line that the host prints for an event: `<region> <user> <source> <name> <info>`, without the
/// parts that have no value.
pub(crate) fn summary(record: &mut RecordView<'_>, out: &mut Vec<u8>) {
    let parts: [TextExtractor; 5] = [
        |record, out| record.append(KnownKey::AwsRegion, out),
        user,
        extractors::short_source,
        |record, out| record.append(KnownKey::EventName, out),
        info,
    ];
    let mut any = false;
    for part in parts {
        let before = out.len();
        if any {
            out.push(b' ');
        }
        match part(record, out) {
            // Also for an empty text, which is a value.
            true => any = true,
            false => out.truncate(before),
        }
    }
}
