//! `s3://`: which objects of a bucket are read, in which order and how fast, and which errors stop it at open.
#![forbid(unsafe_code)]

pub mod download;
pub mod kinds;
pub mod listing;
pub mod open;
pub mod selection;

use std::sync::LazyLock;

use crate::aws::trail::{self, LogKind, Object};
use crate::fixture::service;

/// Prefix of all objects of [`TRAIL`].
const ROOT: &str = "trail/AWSLogs/o-exampleorg/";

/// The bucket of [`TRAIL`].
const BUCKET: &str = "organization-trail";

/// An organization's trail: 2,040 objects, 1,320 of them CloudTrail's logs.
static TRAIL: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let objects = trail::objects(ROOT, 11, true);
    trail::fill(&service(), BUCKET, &objects);
    objects
});

/// The bucket of [`LAYOUT`].
const LAYOUTS: &str = "every-layout";

/// Prefixes of every kind below which a trail's accounts may be.
const ROOTS: [&str; 6] = [
    "AWSLogs/",
    "AWSLogs/o-exampleorg/",
    "o-exampleorg/AWSLogs/",
    "o-exampleorg/AWSLogs/o-exampleorg/",
    "team/a/AWSLogs/",
    "tëam b+c &%25=?#'\"/AWSLogs/",
];

/// One log for each account, region and day below each of [`ROOTS`].
static LAYOUT: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let below = |root: &&str| trail::objects(root, 1, false);
    let objects: Vec<Object> = ROOTS.iter().flat_map(below).collect();
    trail::fill(&service(), LAYOUTS, &objects);
    objects
});

/// The eventIDs of the selected objects in key order.
fn expected_ids(objects: &[Object], mut selected: impl FnMut(&Object) -> bool) -> Vec<String> {
    let mut objects: Vec<&Object> = objects.iter().filter(|object| selected(object)).collect();
    objects.sort_by_key(|object| &object.key);
    objects.into_iter().map(Object::id).collect()
}

fn is_log(object: &Object) -> bool {
    object.kind == LogKind::CloudTrail
}

/// Compares eventIDs and prints the first difference only: there are thousands.
fn assert_same(read: &[String], expected: &[String], what: &str) {
    let mut pairs = read.iter().zip(expected);
    let first = pairs.find(|(read, expected)| read != expected);
    assert!(
        first.is_none() && read.len() == expected.len(),
        "{what}: {} events instead of {}, first difference {first:?}, first event {:?}",
        read.len(),
        expected.len(),
        read.first()
    );
    assert!(
        !expected.is_empty() || what.contains("nothing"),
        "{what}: no events are expected, so this compares nothing"
    );
}
