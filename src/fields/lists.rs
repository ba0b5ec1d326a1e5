//! Extractors of list fields.

use super::field_extractor::{ListExtractor, ListItem};
use super::value::{RecordView, member, text_of};
use crate::json::{Value, ValueType};
use crate::key_table::KnownKey;

/// Images of the instances in the response, each at its instance's place. If there is no list of instances, the
/// image that the request names, at place 0.
pub(super) const IMAGE_IDS: ListExtractor = |record, each| {
    let tape = record.tape;
    let is_string = |value: &Value| tape.value_type(*value) == ValueType::String;
    let items = record
        .value(KnownKey::InstancesSet)
        .and_then(|set| member(tape, set, b"items"))
        .filter(|items| tape.value_type(*items) == ValueType::Array);
    if let Some(items) = items {
        for (index, item) in tape.elements(items).enumerate() {
            if let Some(id) = member(tape, item, b"imageId").filter(is_string)
                && text_of(tape, id).is_some_and(|text| !text.is_empty())
            {
                each(index, ListItem::Json(id));
            }
        }
        return;
    }
    let fast_launch = record
        .value(KnownKey::DescribeFastLaunchImagesRequest)
        .and_then(|request| member(tape, request, b"ImageId"))
        .and_then(|image| member(tape, image, b"content"));
    let launch = record
        .value(KnownKey::LaunchSpecification)
        .and_then(|specification| member(tape, specification, b"imageId"));
    let candidates = [record.value(KnownKey::RequestImageId), fast_launch, launch];
    if let Some(id) = candidates.into_iter().flatten().find(is_string) {
        each(0, ListItem::Json(id));
    }
};

/// The item of [`IMAGE_IDS`] at place 0.
pub(super) fn first_image_id(record: &mut RecordView<'_>) -> Option<Value> {
    let mut first = None;
    IMAGE_IDS(record, &mut |index, item| {
        if let (0, ListItem::Json(id)) = (index, item) {
            first = Some(id);
        }
    });
    first
}

/// ARNs of the resources, each at its resource's place.
pub(super) const RESOURCE_ARNS: ListExtractor =
    |record, each| resource_members(record, &[b"ARN", b"arn"], each);

/// Types of the resources, each at its resource's place.
pub(super) const RESOURCE_TYPES: ListExtractor =
    |record, each| resource_members(record, &[b"type"], each);

/// Accounts of the resources, each at its resource's place.
pub(super) const RESOURCE_ACCOUNTS: ListExtractor =
    |record, each| resource_members(record, &[b"accountId"], each);

/// Calls `each` with the first of these members of each resource that has a value.
fn resource_members(
    record: &mut RecordView<'_>,
    names: &[&[u8]],
    each: &mut dyn FnMut(usize, ListItem<'_>),
) {
    let Some(resources) = record.value(KnownKey::Resources) else {
        return;
    };
    let tape = record.tape;
    for (index, resource) in tape.elements(resources).enumerate() {
        let mut values = names.iter().filter_map(|name| member(tape, resource, name));
        if let Some(value) = values.find(|value| !tape.is_null(*value)) {
            each(index, ListItem::Json(value));
        }
    }
}
