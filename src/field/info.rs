//! An event in one line: `ct.info`, and the line that hosts show for the event.

use super::rules;
use super::value::{View, append_text};
use crate::slots::Slot;
use crate::tape::Kind;

/// Who, from where, read or changed what, and whether it failed.
pub(super) fn info(view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
    let user_start = out.len();
    if !non_empty(out, |out| user(view, out))
        && !non_empty(out, |out| view.append(Slot::IdentityType, out))
    {
        out.extend_from_slice(b"<NA>");
    }
    via(view, user_start, out);
    out.push(b' ');
    let before = out.len();
    if non_empty(out, |out| view.append(Slot::ErrorCode, out)) {
        out.truncate(before);
        out.push(b'!');
    }
    let arrow = if rules::changes(view) { "→ " } else { "← " };
    out.extend_from_slice(arrow.as_bytes());
    let name_start = out.len();
    view.append(Slot::EventName, out);
    if &out[name_start..] == b"PutBucketPublicAccessBlock" {
        public_access_block(view, out);
    } else {
        detail(view, out);
    }
    true
}

fn user(view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
    rules::user(view).is_some_and(|user| append_text(view.tape, user, out))
}

/// The address, unless it only repeats the user: services have their name in both places.
fn via(view: &mut View<'_>, user_start: usize, out: &mut Vec<u8>) {
    let user_end = out.len();
    out.extend_from_slice(b" via ");
    let address_start = out.len();
    let has_address = non_empty(out, |out| view.append(Slot::SourceIpAddress, out));
    if !has_address || out[user_start..user_end] == out[address_start..] {
        out.truncate(user_end);
    }
}

fn public_access_block(view: &mut View<'_>, out: &mut Vec<u8>) {
    let Some(settings) = view.value(Slot::PublicAccessBlockConfiguration) else {
        return;
    };
    if view.tape.kind(settings) != Kind::Object {
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
        rules::append_member(view, settings, name, out);
    }
}

fn detail(view: &mut View<'_>, out: &mut Vec<u8>) {
    if let Some(bytes) = rules::s3_bytes(view) {
        out.extend_from_slice(b" Size=");
        push_decimal(bytes, out);
    }
    let before = out.len();
    out.extend_from_slice(b" URI=");
    if rules::s3_uri(view, out) {
        return;
    }
    for (label, slot) in [
        (" Bucket=", Slot::BucketName),
        (" Key=", Slot::ObjectKey),
        (" Host=", Slot::RequestHost),
    ] {
        out.truncate(before);
        out.extend_from_slice(label.as_bytes());
        if non_empty(out, |out| view.append(slot, out)) {
            return;
        }
    }
    out.truncate(before);
}

/// Runs `append` and says whether it added anything.
fn non_empty(out: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
    let before = out.len();
    append(out) && out.len() > before
}

fn push_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// What hosts show for an event: `<region> <user> <source> <name> <info>`, without the parts
/// that have no value.
pub fn summary(view: &mut View<'_>, out: &mut Vec<u8>) {
    let parts: [super::table::TextRule; 5] = [
        |view, out| view.append(Slot::AwsRegion, out),
        user,
        rules::short_source,
        |view, out| view.append(Slot::EventName, out),
        info,
    ];
    let mut any = false;
    for part in parts {
        let before = out.len();
        if any {
            out.push(b' ');
        }
        match part(view, out) {
            // An empty text is a value: the parts behind it keep their columns.
            true => any = true,
            false => out.truncate(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
