//! Checks the signature of a request (AWS Signature Version 4) as the services do, from the request alone.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};
use time::{Date, Month};

use super::Head;

/// Access key and secret of the tests; every other key has the second secret.
const OWNER: (&str, &str) = (
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
);
const OTHERS: &str = "secretEXAMPLE";

/// Headers that have to be signed where they are sent.
const SIGNED: [&str; 8] = [
    "host",
    "if-match",
    "range",
    "x-amz-checksum-mode",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-target",
];

/// What is wrong with the signature of a complete request.
pub fn check(head: &Head) -> Result<(), String> {
    let part = |name: &str| head.header(name).ok_or(format!("no header {name}"));
    let authorization = part("authorization")?;
    let field = |name: &str| {
        let (_, rest) = authorization.split_once(name)?;
        rest.split(',').next()
    };
    let fields = (
        field("Credential="),
        field("SignedHeaders="),
        field("Signature="),
    );
    let (Some(credential), Some(names), Some(signature)) = fields else {
        return Err(format!("the header is {authorization:?}"));
    };
    let (access_key, scope) = credential.split_once('/').ok_or("no scope")?;
    let [day, region, service, _] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(format!("the scope is {scope:?}"));
    };
    let date = part("x-amz-date")?;
    if !date.starts_with(day) {
        return Err(format!("the scope {scope} is not of {date}"));
    }
    let signed: Vec<&str> = names.split(';').collect();
    if let Some((name, _)) = head
        .headers
        .iter()
        .find(|(name, _)| SIGNED.contains(&name.as_str()) && !signed.contains(&name.as_str()))
    {
        return Err(format!("the header {name} is not signed"));
    }
    let body = hex(&Sha256::digest(&head.body));
    let stated = head.header("x-amz-content-sha256").unwrap_or(&body);
    if stated != body && stated != "UNSIGNED-PAYLOAD" {
        return Err(format!("the body has the hash {body}, not {stated}"));
    }
    let mut request = String::new();
    let (path, query) = head.target().split_once('?').unwrap_or((head.target(), ""));
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    request += &format!("{}\n{path}\n{}\n", head.method(), pairs.join("&"));
    for name in &signed {
        request += &format!("{name}:{}\n", part(name)?.trim());
    }
    request += &format!("\n{names}\n{stated}");
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(request.as_bytes()))
    );
    let secret = if access_key == OWNER.0 {
        OWNER.1
    } else {
        OTHERS
    };
    let time = start_of(day).ok_or_else(|| format!("the day is {day:?}"))?;
    let key = generate_signing_key(secret, time, region, service);
    match calculate_signature(key, text.as_bytes()) == signature {
        true => Ok(()),
        false => Err(format!("the signature is not that of {request:?}")),
    }
}

fn start_of(day: &str) -> Option<SystemTime> {
    let number = |range: Range<usize>| day.get(range)?.parse::<u16>().ok();
    let month = u8::try_from(number(4..6)?).ok()?;
    let month = Month::try_from(month).ok()?;
    let date = number(6..8).and_then(|day| u8::try_from(day).ok())?;
    let date = Date::from_calendar_date(i32::from(number(0..4)?), month, date).ok()?;
    let seconds = date.midnight().assume_utc().unix_timestamp();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.try_into().ok()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
