//! Extractors of the fields that are not simply the value of one key.
//!
//! Functions with an `out` parameter append to it and leave its earlier content alone.

use std::borrow::Cow;

use super::FieldValue;
use super::value::{self, RecordView, append_text, member, text_of, truncate_at_nul};
use super::verbs;
use crate::json::{Value, ValueType, text};
use crate::key_table::KnownKey;

/// Name of the identity, from the key where its type keeps the most readable one, else the type.
pub(super) fn user(record: &mut RecordView<'_>) -> Option<Value> {
    let identity_type = record.value(KnownKey::IdentityType);
    let type_name = identity_type.and_then(|value| text_of(record.tape, value));
    match type_name.as_deref() {
        Some(b"Root") => record.value(KnownKey::IdentityUserName).or(identity_type),
        Some(b"IAMUser" | b"SAMLUser" | b"WebIdentityUser") => {
            record.value(KnownKey::IdentityUserName)
        }
        Some(b"AWSService") => record.value(KnownKey::InvokedBy),
        Some(b"AssumedRole") => record.value(KnownKey::IssuerUserName).or(identity_type),
        Some(b"AWSAccount" | b"FederatedUser") => identity_type,
        Some(b"IdentityCenterUser") => record.value(KnownKey::OnBehalfOfUserId),
        _ => record.either(KnownKey::IdentityUserName, KnownKey::InvokedBy),
    }
}

/// Session name of an assumed role, which names its user; the user name for other identities.
pub(super) fn original_user(record: &mut RecordView<'_>, out: &mut Vec<u8>) -> FieldValue {
    if !is_assumed_role(record) {
        return record.value(KnownKey::IdentityUserName).into();
    }
    match session_name(record) {
        Some(name) => {
            out.extend_from_slice(&name);
            FieldValue::Text
        }
        None => FieldValue::None,
    }
}

fn is_assumed_role(record: &mut RecordView<'_>) -> bool {
    record.text(KnownKey::IdentityType).as_deref() == Some(b"AssumedRole")
}

/// Name of an assumed role's session: the last part of the ARN or of the principal ID.
fn session_name<'r>(record: &mut RecordView<'r>) -> Option<Cow<'r, [u8]>> {
    let places = [(KnownKey::Arn, b'/', 3), (KnownKey::PrincipalId, b':', 2)];
    places.into_iter().find_map(|(key, separator, parts)| {
        let text = record.text(key)?;
        let separators = text.iter().filter(|&&byte| byte == separator).count();
        let last = text.iter().rposition(|&byte| byte == separator)?;
        (separators + 1 == parts).then(|| match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[last + 1..]),
            Cow::Owned(text) => Cow::Owned(text[last + 1..].to_vec()),
        })
    })
}

/// Whether the identity is an EC2 instance: the session of its instance profile has its ID as name.
pub(super) fn on_instance(record: &mut RecordView<'_>, _: &mut Vec<u8>) -> FieldValue {
    if record.value(KnownKey::IdentityType).is_none() {
        return FieldValue::None;
    }
    if !is_assumed_role(record) {
        return FieldValue::Bool(false);
    }
    session_name(record).map_or(FieldValue::None, |name| {
        FieldValue::Bool(is_instance_id(&name))
    })
}

/// Whether `text` is `i-` and 17 hexadecimal digits, or the 8 of instances until 2016.
fn is_instance_id(text: &[u8]) -> bool {
    text.strip_prefix(b"i-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Instance in the request, or the first of its list.
pub(super) fn request_instance_id(record: &mut RecordView<'_>) -> Option<Value> {
    if let Some(id) = record.value(KnownKey::RequestInstanceId) {
        return Some(id);
    }
    let set = record.value(KnownKey::RequestInstancesSet)?;
    let tape = record.tape;
    let first = tape.elements(member(tape, set, b"items")?).next()?;
    member(tape, first, b"instanceId")
}

/// Account of the identity, else the account that received the event.
pub(super) fn account_id(record: &mut RecordView<'_>) -> Option<Value> {
    record.either(KnownKey::AccountId, KnownKey::RecipientAccountId)
}

/// Event source without `.amazonaws.com`.
pub(super) fn short_source(record: &mut RecordView<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    if !record.append(KnownKey::EventSource, out) {
        return false;
    }
    if out[start..].ends_with(b".amazonaws.com") {
        out.truncate(out.len() - b".amazonaws.com".len());
    }
    true
}

/// Whether it is a management event: as the record states it, else by category, else by event type.
pub(super) fn management_event(record: &mut RecordView<'_>, _: &mut Vec<u8>) -> FieldValue {
    if let Some(value) = flag(record, KnownKey::ManagementEvent)
        && matches!(
            text_of(record.tape, value).as_deref(),
            Some(b"true" | b"false")
        )
    {
        return FieldValue::Json(value);
    }
    if let Some(category) = record.text(KnownKey::EventCategory) {
        return FieldValue::Bool(&*category == b"Management");
    }
    let event_type = record.text(KnownKey::EventType);
    FieldValue::Bool(matches!(
        event_type.as_deref(),
        Some(b"AwsApiCall" | b"AwsConsoleAction" | b"AwsConsoleSignIn" | b"AwsServiceEvent")
    ))
}

/// Whether it is read-only: as the record states it, else by the verb of the event's name.
pub(super) fn read_only(record: &mut RecordView<'_>, _: &mut Vec<u8>) -> FieldValue {
    if let Some(value) = flag(record, KnownKey::ReadOnly) {
        return FieldValue::Json(value);
    }
    record
        .text(KnownKey::EventName)
        .and_then(|name| verbs::read_only(&name))
        .map_or(FieldValue::None, FieldValue::Bool)
}

/// Whether [`read_only`] is known to be false.
pub(super) fn changes(record: &mut RecordView<'_>) -> bool {
    match read_only(record, &mut Vec::new()) {
        FieldValue::Json(value) => text_of(record.tape, value).as_deref() == Some(b"false"),
        shown => matches!(shown, FieldValue::Bool(false)),
    }
}

/// Value of a flag, which records have as a boolean or as a string.
pub(super) fn flag(record: &mut RecordView<'_>, key: KnownKey) -> Option<Value> {
    record
        .value(key)
        .filter(|&value| match record.tape.value_type(value) {
            ValueType::String => true,
            ValueType::Scalar => matches!(record.tape.raw(value), b"true" | b"false"),
            ValueType::Object | ValueType::Array => false,
        })
}

/// JSON texts of the elements of `resources`, separated by commas.
pub(super) fn resources(record: &mut RecordView<'_>, out: &mut Vec<u8>) -> bool {
    let Some(array) = record.value(KnownKey::Resources) else {
        return false;
    };
    let tape = record.tape;
    let start = out.len();
    let mut any = false;
    for element in tape.elements(array) {
        if any {
            out.push(b',');
        }
        any = true;
        text::compact(tape.raw(element), out);
    }
    truncate_at_nul(out, start);
    any
}

/// `s3://<bucket>/<key>`, if both are strings.
pub(super) fn s3_uri(record: &mut RecordView<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut append_string = |key, out: &mut Vec<u8>| match record.value(key) {
        Some(value) if record.tape.value_type(value) == ValueType::String => {
            append_text(record.tape, value, out)
        }
        _ => false,
    };
    out.extend_from_slice(b"s3://");
    let bucket = append_string(KnownKey::BucketName, out);
    out.push(b'/');
    if bucket && append_string(KnownKey::ObjectKey, out) {
        return true;
    }
    out.truncate(start);
    false
}

/// Bytes moved in both directions.
pub(super) fn s3_bytes(record: &mut RecordView<'_>) -> Option<u64> {
    let received = byte_count(record, KnownKey::BytesTransferredIn).map(|(bytes, _)| bytes);
    let sent = byte_count(record, KnownKey::BytesTransferredOut).map(|(bytes, _)| bytes);
    match (received, sent) {
        (Some(received), Some(sent)) => Some(received.saturating_add(sent)),
        (received, sent) => received.or(sent),
    }
}

/// A number of bytes, and the JSON value that it was read from. `None` if that is not a number or is negative.
pub(super) fn byte_count(record: &mut RecordView<'_>, key: KnownKey) -> Option<(u64, Value)> {
    let value = record.value(key)?;
    if record.tape.value_type(value) != ValueType::Scalar {
        return None;
    }
    Some((value::number(record.tape, value)?, value))
}

/// 1 for GetObject, else 0.
pub(super) fn s3_gets(record: &mut RecordView<'_>) -> Option<u64> {
    Some(u64::from(
        record.text(KnownKey::EventName).as_deref() == Some(b"GetObject"),
    ))
}

/// 1 for PutObject, else 0.
pub(super) fn s3_puts(record: &mut RecordView<'_>) -> Option<u64> {
    Some(u64::from(
        record.text(KnownKey::EventName).as_deref() == Some(b"PutObject"),
    ))
}

/// 0 for GetObject and PutObject, else 1.
pub(super) fn s3_others(record: &mut RecordView<'_>) -> Option<u64> {
    let name = record.text(KnownKey::EventName);
    Some(u64::from(!matches!(
        name.as_deref(),
        Some(b"GetObject" | b"PutObject")
    )))
}

/// Value of the first `Name` tag of the instances that the request starts.
pub(super) fn ec2_name(record: &mut RecordView<'_>) -> Option<Value> {
    let specifications = record.value(KnownKey::TagSpecificationSet)?;
    let tape = record.tape;
    let has = |object, name: &[u8], expected: &[u8]| {
        let text = member(tape, object, name).and_then(|value| text_of(tape, value));
        text.as_deref() == Some(expected)
    };
    tape.elements(member(tape, specifications, b"items")?)
        .filter(|item| has(*item, b"resourceType", b"instance"))
        .filter_map(|item| member(tape, item, b"tags"))
        .flat_map(|tags| tape.elements(tags))
        .filter(|tag| has(*tag, b"key", b"Name"))
        .filter_map(|tag| member(tape, tag, b"value"))
        .find(|name| text_of(tape, *name).is_some_and(|name| !name.is_empty()))
}
