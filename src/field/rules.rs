//! The fields whose value is not simply what stands at one path.
//!
//! Where a rule appends to `out`, what stands there before is not its own.

use super::Shown;
use super::value::{View, append_text, member, text_of};
use super::verbs;
use crate::slots::Slot;
use crate::tape::{Kind, Value};

/// The name of whoever acted, as readable as the kind of identity allows; where none is, the kind itself.
pub(super) fn user(view: &mut View<'_>) -> Option<Value> {
    let kind = view.value(Slot::IdentityType);
    let name = kind.and_then(|kind| text_of(view.tape, kind));
    match name.as_deref() {
        Some(b"Root") => view.value(Slot::IdentityUserName).or(kind),
        Some(b"IAMUser" | b"SAMLUser" | b"WebIdentityUser") => view.value(Slot::IdentityUserName),
        Some(b"AWSService") => view.value(Slot::InvokedBy),
        Some(b"AssumedRole") => view.value(Slot::IssuerUserName).or(kind),
        Some(b"AWSAccount" | b"FederatedUser") => kind,
        Some(b"IdentityCenterUser") => view.value(Slot::OnBehalfOfUserId),
        _ => view
            .value(Slot::IdentityUserName)
            .or_else(|| view.value(Slot::InvokedBy)),
    }
}

/// Who stands behind an assumed role: the session's name.
pub(super) fn original_user(view: &mut View<'_>, out: &mut Vec<u8>) -> Shown {
    if view.text(Slot::IdentityType).as_deref() != Some(b"AssumedRole") {
        let name = view.value(Slot::IdentityUserName);
        return name.map_or(Shown::Nothing, Shown::Value);
    }
    for (slot, separator, parts) in [(Slot::Arn, b'/', 3), (Slot::PrincipalId, b':', 2)] {
        let Some(text) = view.text(slot) else {
            continue;
        };
        let separators = text.iter().filter(|&&byte| byte == separator).count();
        if separators + 1 == parts
            && let Some(last) = text.iter().rposition(|&byte| byte == separator)
        {
            out.extend_from_slice(&text[last + 1..]);
            return Shown::Text;
        }
    }
    Shown::Nothing
}

pub(super) fn account_id(view: &mut View<'_>) -> Option<Value> {
    view.value(Slot::AccountId)
        .or_else(|| view.value(Slot::RecipientAccountId))
}

/// The event's source without the domain that all of AWS's services share.
pub(super) fn short_source(view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    if !view.append(Slot::EventSource, out) {
        return false;
    }
    if out[start..].ends_with(b".amazonaws.com") {
        out.truncate(out.len() - b".amazonaws.com".len());
    }
    true
}

pub(super) fn management_event(view: &mut View<'_>, _: &mut Vec<u8>) -> Shown {
    if let Some(value) = flag(view, Slot::ManagementEvent)
        && matches!(
            text_of(view.tape, value).as_deref(),
            Some(b"true" | b"false")
        )
    {
        return Shown::Value(value);
    }
    if let Some(category) = view.text(Slot::EventCategory) {
        return Shown::Truth(&*category == b"Management");
    }
    let event_type = view.text(Slot::EventType);
    Shown::Truth(matches!(
        event_type.as_deref(),
        Some(b"AwsApiCall" | b"AwsConsoleAction" | b"AwsConsoleSignIn" | b"AwsServiceEvent")
    ))
}

/// What the record says, else what its name's verb says.
pub(super) fn read_only(view: &mut View<'_>, _: &mut Vec<u8>) -> Shown {
    if let Some(value) = flag(view, Slot::ReadOnly) {
        return Shown::Value(value);
    }
    view.text(Slot::EventName)
        .and_then(|name| verbs::reads_only(&name))
        .map_or(Shown::Nothing, Shown::Truth)
}

/// Whether the request may have changed something, as far as [`read_only`] knows.
pub(super) fn changes(view: &mut View<'_>) -> bool {
    match read_only(view, &mut Vec::new()) {
        Shown::Value(value) => text_of(view.tape, value).as_deref() == Some(b"false"),
        shown => matches!(shown, Shown::Truth(false)),
    }
}

/// A flag, which records have as a boolean or as a string.
pub(super) fn flag(view: &mut View<'_>, slot: Slot) -> Option<Value> {
    view.value(slot)
        .filter(|&value| match view.tape.kind(value) {
            Kind::String => true,
            Kind::Scalar => matches!(view.tape.raw(value), b"true" | b"false"),
            Kind::Object | Kind::Array => false,
        })
}

/// The elements' JSON texts, separated by commas.
pub(super) fn resources(view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
    let Some(array) = view.value(Slot::Resources) else {
        return false;
    };
    let tape = view.tape;
    let start = out.len();
    let mut any = false;
    for element in tape.elements(array) {
        if any {
            out.push(b',');
        }
        any = true;
        crate::text::compact(tape.raw(element), out);
    }
    if let Some(nul) = memchr::memchr(0, &out[start..]) {
        out.truncate(start + nul);
    }
    any
}

/// `s3://<bucket>/<key>`, where both are strings.
pub(super) fn s3_uri(view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut append_string = |slot, out: &mut Vec<u8>| match view.value(slot) {
        Some(value) if view.tape.kind(value) == Kind::String => append_text(view.tape, value, out),
        _ => false,
    };
    out.extend_from_slice(b"s3://");
    let bucket = append_string(Slot::BucketName, out);
    out.push(b'/');
    if bucket && append_string(Slot::ObjectKey, out) {
        return true;
    }
    out.truncate(start);
    false
}

pub(super) fn s3_bytes(view: &mut View<'_>) -> Option<u64> {
    let received = amount(view, Slot::BytesTransferredIn).map(|(bytes, _)| bytes);
    let sent = amount(view, Slot::BytesTransferredOut).map(|(bytes, _)| bytes);
    match (received, sent) {
        (Some(received), Some(sent)) => Some(received.saturating_add(sent)),
        (received, sent) => received.or(sent),
    }
}

/// A number that is not negative, truncated (S3's data events write `2917.0`), and the value that says it.
pub(super) fn amount(view: &mut View<'_>, slot: Slot) -> Option<(u64, Value)> {
    let value = view.value(slot)?;
    if view.tape.kind(value) != Kind::Scalar {
        return None;
    }
    let text = std::str::from_utf8(view.tape.raw(value)).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Exact, where a float would round.
        let amount = digits.parse().unwrap_or(u64::MAX);
        return (amount == 0 || digits.len() == text.len()).then_some((amount, value));
    }
    let amount: f64 = text.parse().ok()?;
    // The conversion truncates and saturates.
    (amount >= 0.0).then_some((amount as u64, value))
}

pub(super) fn s3_gets(view: &mut View<'_>) -> Option<u64> {
    Some(u64::from(
        view.text(Slot::EventName).as_deref() == Some(b"GetObject"),
    ))
}

pub(super) fn s3_puts(view: &mut View<'_>) -> Option<u64> {
    Some(u64::from(
        view.text(Slot::EventName).as_deref() == Some(b"PutObject"),
    ))
}

pub(super) fn s3_others(view: &mut View<'_>) -> Option<u64> {
    let name = view.text(Slot::EventName);
    Some(u64::from(!matches!(
        name.as_deref(),
        Some(b"GetObject" | b"PutObject")
    )))
}

/// The first `Name` tag of the instances that a request starts.
pub(super) fn ec2_name(view: &mut View<'_>) -> Option<Value> {
    let specifications = view.value(Slot::TagSpecificationSet)?;
    let tape = view.tape;
    let has = |object, name, expected: &[u8]| {
        let text = member(tape, object, name).and_then(|value| text_of(tape, value));
        text.as_deref() == Some(expected)
    };
    tape.elements(member(tape, specifications, "items")?)
        .filter(|item| has(*item, "resourceType", b"instance"))
        .filter_map(|item| member(tape, item, "tags"))
        .flat_map(|tags| tape.elements(tags))
        .filter(|tag| has(*tag, "key", b"Name"))
        .filter_map(|tag| member(tape, tag, "value"))
        .find(|name| text_of(tape, *name).is_some_and(|name| !name.is_empty()))
}

/// The images of the instances in the response, each with its place there; where there is no
/// such list, the one image that the request names, at place 0.
pub fn ec2_image_ids(view: &mut View<'_>, mut each: impl FnMut(usize, Value)) {
    let tape = view.tape;
    let is_string = |value: &Value| tape.kind(*value) == Kind::String;
    let items = view
        .value(Slot::InstancesSet)
        .and_then(|set| member(tape, set, "items"))
        .filter(|items| tape.kind(*items) == Kind::Array);
    if let Some(items) = items {
        for (place, item) in tape.elements(items).enumerate() {
            if let Some(id) = member(tape, item, "imageId").filter(is_string)
                && text_of(tape, id).is_some_and(|text| !text.is_empty())
            {
                each(place, id);
            }
        }
        return;
    }
    let fast_launch = view
        .value(Slot::DescribeFastLaunchImagesRequest)
        .and_then(|request| member(tape, request, "ImageId"))
        .and_then(|image| member(tape, image, "content"));
    let launch = view
        .value(Slot::LaunchSpecification)
        .and_then(|specification| member(tape, specification, "imageId"));
    let candidates = [view.value(Slot::RequestImageId), fast_launch, launch];
    if let Some(id) = candidates.into_iter().flatten().find(is_string) {
        each(0, id);
    }
}

/// The first of [`ec2_image_ids`], if it stands at place 0.
pub(super) fn ec2_image_id(view: &mut View<'_>) -> Option<Value> {
    let mut first = None;
    ec2_image_ids(view, |place, id| {
        if place == 0 {
            first = Some(id);
        }
    });
    first
}

/// The text of a member of the object at `slot`; empty where there is none.
pub(super) fn append_member(view: &mut View<'_>, object: Value, name: &str, out: &mut Vec<u8>) {
    if let Some(value) = member(view.tape, object, name)
        && !view.tape.is_null(value)
    {
        append_text(view.tape, value, out);
    }
}
