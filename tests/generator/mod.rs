//! Strategies for records as raw text: realistic ones, damaged in every way that keeps braces balanced.
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part"
)]

mod container;
mod text;
mod vocabulary;

pub use container::{container, members};

use proptest::prelude::*;
use proptest::sample::select;
use text::{any_value, key, number, string, white_space};
use vocabulary::*;

/// A JSON text.
pub type Text = Vec<u8>;

/// One to six records.
pub fn records() -> impl Strategy<Value = Vec<Text>> {
    prop::collection::vec(record(), 1..7)
}

/// An object with an eventTime, possibly invalid, and any keys that fields read or do not read, in any order, possibly
/// repeated.
pub fn record() -> impl Strategy<Value = Text> {
    let time = (key("eventTime"), likely("eventTime")).boxed();
    let members = prop::collection::vec(member(TOP), 0..28);
    (time, members, any::<prop::sample::Index>())
        .prop_map(|(time, mut members, place)| {
            members.insert(place.index(members.len() + 1), time);
            members
        })
        .prop_flat_map(object)
}

type Member = (Text, Text);

fn member(keys: &'static str) -> BoxedStrategy<Member> {
    let names: Vec<_> = keys.split_whitespace().collect();
    let known = select(names).prop_flat_map(|name| {
        let value = prop_oneof![6 => likely(name), 1 => any_value()];
        (key(name.rsplit(':').next().unwrap_or(name)), value)
    });
    let unknown = (select(OTHER_KEYS).prop_flat_map(key), any_value());
    prop_oneof![12 => known, 1 => unknown].boxed()
}

fn object(members: Vec<Member>) -> impl Strategy<Value = Text> {
    prop::collection::vec(white_space(), 4 * members.len() + 1).prop_map(move |spaces| {
        let mut spaces = spaces.into_iter();
        let mut text = b"{".to_vec();
        for (place, (key, value)) in members.iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            text.extend(spaces.next().unwrap_or_default());
            text.extend(key);
            text.extend(spaces.next().unwrap_or_default());
            text.push(b':');
            text.extend(spaces.next().unwrap_or_default());
            text.extend(value);
            text.extend(spaces.next().unwrap_or_default());
        }
        text.extend(spaces.next().unwrap_or_default());
        text.push(b'}');
        text
    })
}

fn object_of(keys: &'static str, most: usize) -> BoxedStrategy<Text> {
    prop::collection::vec(member(keys), 0..=most)
        .prop_flat_map(object)
        .boxed()
}

/// An object that has each of `keys`, in any order.
fn object_with(keys: &'static str) -> BoxedStrategy<Text> {
    let members = keys
        .split_whitespace()
        .map(|name| (key(name), likely(name)));
    members
        .collect::<Vec<_>>()
        .prop_shuffle()
        .prop_flat_map(object)
        .boxed()
}

fn array_of(element: BoxedStrategy<Text>) -> BoxedStrategy<Text> {
    list_of(element, 3)
}

fn list_of(element: BoxedStrategy<Text>, most: usize) -> BoxedStrategy<Text> {
    (prop::collection::vec(element, 0..=most), white_space())
        .prop_map(|(elements, space)| {
            let mut text = b"[".to_vec();
            text.extend(&space);
            let comma = [b",", &space[..]].concat();
            text.extend(elements.join(&comma[..]));
            text.extend(&space);
            text.push(b']');
            text
        })
        .boxed()
}

fn quoted(texts: &'static [&'static str]) -> BoxedStrategy<Text> {
    select(texts)
        .prop_map(|text| format!("\"{text}\"").into_bytes())
        .boxed()
}

fn flag() -> BoxedStrategy<Text> {
    select(
        &[
            "true",
            "false",
            "\"true\"",
            "\"false\"",
            "\"True\"",
            "\"\"",
            "null",
            "1",
        ][..],
    )
    .prop_map(|text| text.as_bytes().to_vec())
    .boxed()
}

/// A value that real records have at this key. A part before a colon distinguishes equal keys.
fn likely(key: &str) -> BoxedStrategy<Text> {
    match key {
        "userIdentity" => object_of(IDENTITY, 10),
        "onBehalfOf" => object_of("userId identityStoreArn", 3),
        "sessionContext" => object_of(
            "attributes sessionIssuer sourceIdentity ec2RoleDelivery assumedRoot webIdFederationData",
            6,
        ),
        "attributes" => object_of("mfaAuthenticated creationDate", 3),
        "webIdFederationData" => object_of("federatedProvider attributes", 3),
        "inScopeOf" => object_of("sourceArn sourceAccount issuerType credentialsIssuedTo", 5),
        "invokedByDelegate" => object_of("accountId", 2),
        "summary" => object_of("primaryDimension details", 3),
        "primaryDimension" => object_of("dimension dimension statistics aggregationType", 5),
        "statistics" => list_of(object_of("statistic:name statistic:value", 3), 14),
        "statistic:value" => number(),
        "insightDetails" => object_of("insightType state", 3),
        "sessionIssuer" => object_of("type arn accountId principalId userName", 6),
        "requestParameters" => object_of(REQUEST, 12),
        "responseElements" => object_of(
            "subnetId reservationId ConsoleLogin instancesSet",
            5,
        ),
        "additionalEventData" => {
            object_of("bytesTransferredIn bytesTransferredOut MFAUsed", 4)
        }
        "addendum" => object_of(
            "reason updatedFields originalRequestID originalEventID",
            5,
        ),
        "tlsDetails" => object_of(
            "tlsVersion cipherSuite clientProvidedHostHeader keyExchange",
            5,
        ),
        "timeWindow" => object_of("windowStart windowEnd", 2),
        "PublicAccessBlockConfiguration" => object_of(
            "BlockPublicAcls BlockPublicPolicy IgnorePublicAcls RestrictPublicBuckets",
            5,
        ),
        "tagSpecificationSet" => object_of("tag:items", 2),
        "instancesSet" => object_of("instance:items", 2),
        "tag:items" => array_of(
            prop_oneof![3 => object_with("resourceType tags"), 2 => object_of("resourceType tags", 3), 1 => any_value()].boxed(),
        ),
        "tags" => {
            array_of(prop_oneof![3 => object_with("key value"), 2 => object_of("key value", 3), 1 => any_value()].boxed())
        }
        "instance:items" => {
            array_of(prop_oneof![5 => object_of("imageId instanceId", 3), 1 => any_value()].boxed())
        }
        "DescribeFastLaunchImagesRequest" => object_of("ImageId", 2),
        "ImageId" => object_of("content", 2),
        "launchSpecification" => object_of("imageId", 2),
        "resources" => array_of(
            prop_oneof![2 => object_of("ARN arn type accountId", 5), 1 => any_value()].boxed(),
        ),
        "policyDocument" | "policy" => prop_oneof![quoted(POLICIES), any_value()].boxed(),
        "bucketPolicy" => any_value(),
        "type" => quoted(TYPES),
        "key" => prop_oneof![quoted(&["Name", "name", "", "team"]), string()].boxed(),
        "resourceType" => quoted(&["instance", "volume", "inst\\u0061nce"]),
        "eventName" => prop_oneof![quoted(NAMES), string()].boxed(),
        "eventSource" => quoted(SOURCES),
        "eventType" => quoted(EVENT_TYPES),
        "eventCategory" => quoted(&[
            "Management",
            "Data",
            "Insight",
            "Aggregated",
            "Aggregated",
            "",
            "management",
            "Manage\\u006dent",
        ]),
        "arn" => prop_oneof![quoted(ARNS), string()].boxed(),
        "principalId" => prop_oneof![quoted(PRINCIPALS), string()].boxed(),
        "sourceIPAddress" => quoted(&[
            "192.0.2.1",
            "2001:db8::1",
            "alice",
            "",
            "Root",
            "AWS Internal",
        ]),
        "userName" | "invokedBy" => prop_oneof![
            quoted(&["alice", "192.0.2.1", "", "J\\u00fcrgen"]),
            string()
        ]
        .boxed(),
        "bytesTransferredIn" | "bytesTransferredOut" => number(),
        "managementEvent" | "readOnly" | "sessionCredentialFromConsole" => flag(),
        "BlockPublicAcls" | "BlockPublicPolicy" | "IgnorePublicAcls" | "RestrictPublicBuckets" => {
            flag()
        }
        "eventTime" | "windowStart" | "windowEnd" => quoted(TIMES),
        _ => string(),
    }
}
