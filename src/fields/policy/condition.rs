//! Conditions that narrow a statement for everybody down to known callers.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr};

use memchr::memmem;

use super::arn::arn_parts;
use super::values::{each_text, unescaped};
use crate::json::{Tape, Value};

/// Operators that compare with fixed values and are false if the key is missing, in lower case.
const OPERATORS: [&str; 6] = [
    "stringequals",
    "stringequalsignorecase",
    "stringlike",
    "arnequals",
    "arnlike",
    "ipaddress",
];

/// The only prefix that keeps an operator narrowing: `ForAllValues:` is true if the key is missing.
const PREFIX: &[u8] = b"foranyvalue:";

/// Kinds of values that a key has.
#[derive(Clone, Copy, Debug)]
enum KeyKind {
    /// An ID or an ARN.
    Name,
    /// An organization's ID and the IDs of units in it.
    OrganizationPath,
    /// An address or a range of addresses.
    Address,
}

/// Keys that say which account, organization, network or resource a request comes from.
const KEYS: [(&str, KeyKind); 23] = [
    ("aws:PrincipalOrgID", KeyKind::Name),
    ("aws:PrincipalOrgPaths", KeyKind::OrganizationPath),
    ("aws:PrincipalAccount", KeyKind::Name),
    ("aws:PrincipalArn", KeyKind::Name),
    ("aws:PrincipalServiceName", KeyKind::Name),
    ("aws:SourceAccount", KeyKind::Name),
    ("aws:SourceArn", KeyKind::Name),
    ("aws:SourceOwner", KeyKind::Name),
    ("aws:SourceOrgID", KeyKind::Name),
    ("aws:SourceOrgPaths", KeyKind::OrganizationPath),
    ("aws:SourceVpc", KeyKind::Name),
    ("aws:SourceVpcArn", KeyKind::Name),
    ("aws:SourceVpce", KeyKind::Name),
    ("aws:SourceIp", KeyKind::Address),
    ("aws:VpceAccount", KeyKind::Name),
    ("aws:VpceOrgID", KeyKind::Name),
    ("aws:VpceOrgPaths", KeyKind::OrganizationPath),
    ("aws:userId", KeyKind::Name),
    ("aws:SourceInstanceArn", KeyKind::Name),
    ("aws:Ec2InstanceSourceVpc", KeyKind::Name),
    ("kms:CallerAccount", KeyKind::Name),
    ("s3:DataAccessPointAccount", KeyKind::Name),
    ("s3:DataAccessPointArn", KeyKind::Name),
];

/// Shortest prefixes of ranges that count as known callers.
const IPV4_PREFIX: u8 = 8;
const IPV6_PREFIX: u8 = 32;

/// Whether `condition` holds for known callers only. All its parts must hold, so one that narrows is enough. Of two equal
/// operators, or two equal keys of one, the first counts.
pub(super) fn narrows(tape: Tape<'_>, condition: Value, scratch: &mut Vec<u8>) -> bool {
    let mut seen_operators = 0_u32;
    for (name, keys) in tape.members(condition) {
        let Some(operator) = operator(unescaped(name, scratch)) else {
            continue;
        };
        if !first_time(&mut seen_operators, operator) {
            continue;
        }
        let mut seen_keys = 0;
        for (name, values) in tape.members(keys) {
            let name = unescaped(name, scratch);
            let key = KEYS
                .iter()
                .position(|(key, _)| name.eq_ignore_ascii_case(key.as_bytes()));
            if let Some(key) = key
                && first_time(&mut seen_keys, key)
                && are_fixed(tape, values, KEYS[key].1, scratch)
            {
                return true;
            }
        }
    }
    false
}

/// Number of a narrowing operator, different with and without the prefix.
fn operator(name: &[u8]) -> Option<usize> {
    let (prefixed, name) = match name.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => (true, rest),
        _ => (false, name),
    };
    let number = OPERATORS
        .iter()
        .position(|operator| name.eq_ignore_ascii_case(operator.as_bytes()))?;
    Some(number * 2 + usize::from(prefixed))
}

/// Whether bit `number` was not set; sets it.
fn first_time(seen: &mut u32, number: usize) -> bool {
    let bit = 1 << number;
    let first = *seen & bit == 0;
    *seen |= bit;
    first
}

/// Whether there is a value and all values are fixed.
fn are_fixed(tape: Tape<'_>, values: Value, kind: KeyKind, scratch: &mut Vec<u8>) -> bool {
    let mut fixed = false;
    each_text(tape, values, scratch, |text| {
        fixed = text.is_some_and(|text| {
            memmem::find(text, b"${").is_none()
                && match kind {
                    KeyKind::Name if text.starts_with(b"arn:") => is_fixed_arn(text),
                    KeyKind::Name => is_fixed_id(text),
                    KeyKind::OrganizationPath => is_fixed_id(before(text, b'/')),
                    KeyKind::Address => is_small_range(text),
                }
        });
        fixed
    });
    fixed
}

/// Whether `text` is an ID without a wildcard.
pub(super) fn is_fixed_id(text: &[u8]) -> bool {
    !text.is_empty() && !has_wildcard(text)
}

/// Whether `text` is an ARN that names an account.
pub(super) fn has_fixed_account(text: &[u8]) -> bool {
    arn_parts(text).is_some_and(|[_, _, _, account, _]| is_fixed_id(account))
}

/// Whether `text` is an ARN of one account, of one bucket with any object in it, or of another resource that has no account.
fn is_fixed_arn(text: &[u8]) -> bool {
    match arn_parts(text) {
        Some([_, _, _, account, _]) if is_fixed_id(account) => true,
        Some([_, b"s3", _, account, resource]) => {
            let bucket = before(resource, b'/');
            let is_bucket = account.is_empty() || !S3_TYPES.contains(&before(bucket, b':'));
            is_bucket && is_fixed_id(bucket)
        }
        Some([_, _, _, b"", resource]) => is_fixed_id(resource),
        _ => false,
    }
}

/// What precedes the names of S3 resources that are no buckets. They belong to the account in their ARN.
const S3_TYPES: [&[u8]; 6] = [
    b"accesspoint",
    b"access-grants",
    b"async-request",
    b"job",
    b"storage-lens",
    b"storage-lens-group",
];

pub(super) fn has_wildcard(text: &[u8]) -> bool {
    memchr::memchr2(b'*', b'?', text).is_some()
}

fn before(text: &[u8], separator: u8) -> &[u8] {
    let end = memchr::memchr(separator, text);
    end.map_or(text, |end| &text[..end])
}

/// Whether `text` is an address, or a range of few enough addresses.
fn is_small_range(text: &[u8]) -> bool {
    // The longest range has 39 characters and a prefix of 4.
    let text = match std::str::from_utf8(text) {
        Ok(text) if text.len() <= 64 => text,
        _ => return false,
    };
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => match prefix_length(prefix) {
            Some(prefix) => (address, Some(prefix)),
            None => return false,
        },
        None => (text, None),
    };
    let (shortest, longest) = if address.parse::<Ipv4Addr>().is_ok() {
        (IPV4_PREFIX, 32)
    } else if address.parse::<Ipv6Addr>().is_ok() {
        (IPV6_PREFIX, 128)
    } else {
        return false;
    };
    (shortest..=longest).contains(&prefix.unwrap_or(longest))
}

fn prefix_length(text: &str) -> Option<u8> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_small_from_8_bits_of_ipv4_and_32_of_ipv6() {
        for small in [
            "192.0.2.1",
            "10.0.0.0/8",
            "1.2.3.4/32",
            "2001:db8::/32",
            "::1",
            "2001:db8::1/128",
        ] {
            assert!(is_small_range(small.as_bytes()), "{small}");
        }
        let others = [
            "0.0.0.0/0",
            "1.2.3.4/0",
            "0.0.0.0/1",
            "128.0.0.0/7",
            "10.0.0.0/33",
            "::/0",
            "2000::/3",
            "2001:db8::/31",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "10.*",
            "*",
            "",
            "/8",
            "10.0.0.0/999",
        ];
        for other in others {
            assert!(!is_small_range(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn every_operator_and_key_has_a_bit() {
        assert!(2 * OPERATORS.len() <= 32 && KEYS.len() <= 32);
        assert_eq!(operator(b"StringLike"), Some(4));
        assert_eq!(operator(b"forANYvalue:ipAddress"), Some(11));
        for other in [
            "ForAllValues:StringLike",
            "StringLikeIfExists",
            "StringNotEquals",
            "Null",
            "NotIpAddress",
            "",
        ] {
            assert_eq!(operator(other.as_bytes()), None, "{other}");
        }
    }
}
