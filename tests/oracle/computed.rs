//! Fields that are computed from more than the text at one path.
#![forbid(unsafe_code)]

use super::json::{Json, Kind, cut_at_nul};

/// The text at a path of keys; None if there is no value.
pub fn text(record: &Json, path: &str) -> Option<String> {
    record.at(path)?.text()
}

/// A boolean or a string; nothing else counts as a flag.
pub fn flag<'j, 'a>(record: &'j Json<'a>, key: &str) -> Option<&'j Json<'a>> {
    let value = record.member(key)?;
    matches!(value.kind, Kind::Bool(_) | Kind::Str(_)).then_some(value)
}

/// The value at a path of keys; None if it has no text.
fn some<'j, 'a>(record: &'j Json<'a>, path: &str) -> Option<&'j Json<'a>> {
    record.at(path).filter(|value| value.text().is_some())
}

pub fn short_source(record: &Json) -> Option<String> {
    let source = text(record, "eventSource")?;
    Some(match source.strip_suffix(".amazonaws.com") {
        Some(short) => short.to_owned(),
        None => source,
    })
}

pub fn user<'j, 'a>(record: &'j Json<'a>) -> Option<&'j Json<'a>> {
    let identity = |path: &str| some(record, &format!("userIdentity.{path}"));
    let kind = identity("type");
    match kind.and_then(Json::text).as_deref() {
        Some("Root") => identity("userName").or(kind),
        Some("IAMUser" | "SAMLUser" | "WebIdentityUser") => identity("userName"),
        Some("AWSService") => identity("invokedBy"),
        Some("AssumedRole") => identity("sessionContext.sessionIssuer.userName").or(kind),
        Some("AWSAccount" | "FederatedUser") => kind,
        Some("IdentityCenterUser") => identity("onBehalfOf.userId"),
        _ => identity("userName").or_else(|| identity("invokedBy")),
    }
}

/// The record's value that is the original user, unchanged.
pub fn named_user<'j, 'a>(record: &'j Json<'a>) -> Option<&'j Json<'a>> {
    match text(record, "userIdentity.type").as_deref() {
        Some("AssumedRole") => None,
        _ => some(record, "userIdentity.userName"),
    }
}

pub fn original_user(record: &Json) -> Option<String> {
    if text(record, "userIdentity.type").as_deref() != Some("AssumedRole") {
        return named_user(record)?.text();
    }
    session_name(record)
}

fn session_name(record: &Json) -> Option<String> {
    let part = |path: &str, separator: char, count: usize| {
        let whole = text(record, path)?;
        let parts = whole.split(separator).collect::<Vec<_>>();
        (parts.len() == count).then(|| parts[count - 1].to_owned())
    };
    part("userIdentity.arn", '/', 3).or_else(|| part("userIdentity.principalId", ':', 2))
}

pub fn on_instance(record: &Json) -> Option<bool> {
    if text(record, "userIdentity.type")? != "AssumedRole" {
        return Some(false);
    }
    let name = session_name(record)?;
    let is_hex = |digits: &str| {
        digits
            .chars()
            .all(|digit| "0123456789abcdef".contains(digit))
    };
    Some(
        name.strip_prefix("i-")
            .is_some_and(|digits| is_hex(digits) && (digits.len() == 8 || digits.len() == 17)),
    )
}

/// The value of a field that has two paths.
pub fn fallback<'j, 'a>(record: &'j Json<'a>, field: &str) -> Option<&'j Json<'a>> {
    match field {
        "ct.id" => some(record, "eventID").or_else(|| some(record, "eventId")),
        "ct.recipientaccountid" => {
            some(record, "recipientAccountId").or_else(|| some(record, "accountId"))
        }
        _ => some(record, "requestParameters.instanceId").or_else(|| {
            let items = record.at("requestParameters.instancesSet.items")?;
            some(items.elements()?.first()?, "instanceId")
        }),
    }
}

/// The value that each resource has for a field, in the order of the resources.
pub fn resource_members<'j, 'a>(record: &'j Json<'a>, field: &str) -> Vec<Option<&'j Json<'a>>> {
    let keys = match field {
        "ct.resources.arn" => ["ARN", "arn"],
        "ct.resources.type" => ["type"; 2],
        _ => ["accountId"; 2],
    };
    let resources = record.at("resources").and_then(Json::elements);
    let resources = resources.unwrap_or_default().iter();
    resources
        .map(|resource| some(resource, keys[0]).or_else(|| some(resource, keys[1])))
        .collect()
}

pub fn account<'j, 'a>(record: &'j Json<'a>) -> Option<&'j Json<'a>> {
    some(record, "userIdentity.accountId").or_else(|| some(record, "recipientAccountId"))
}

/// The record's own statement whether it is a management event.
pub fn management_flag<'j, 'a>(record: &'j Json<'a>) -> Option<&'j Json<'a>> {
    let says = |text: &str| text == "true" || text == "false";
    flag(record, "managementEvent").filter(|flag| flag.text().is_some_and(|text| says(&text)))
}

pub fn is_management(record: &Json) -> bool {
    if let Some(flag) = management_flag(record) {
        return flag.text().as_deref() == Some("true");
    }
    if let Some(category) = text(record, "eventCategory") {
        return category == "Management";
    }
    let types = [
        "AwsApiCall",
        "AwsConsoleAction",
        "AwsConsoleSignIn",
        "AwsServiceEvent",
    ];
    text(record, "eventType").is_some_and(|it| types.contains(&it.as_str()))
}

pub fn read_only(record: &Json) -> Option<String> {
    if let Some(own) = flag(record, "readOnly") {
        return own.text();
    }
    let name = text(record, "eventName")?;
    let begins_with = |verb: &str| {
        name.strip_prefix(verb)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
    };
    if READING.split_whitespace().any(begins_with) {
        Some("true".to_owned())
    } else if CHANGING.split_whitespace().any(begins_with) {
        Some("false".to_owned())
    } else {
        None
    }
}

pub fn resources(record: &Json) -> Option<String> {
    let resources = record.at("resources")?.elements()?;
    let texts = resources.iter().map(Json::compact).collect::<Vec<_>>();
    (!texts.is_empty()).then(|| cut_at_nul(texts.join(",")))
}

pub fn s3_uri(record: &Json) -> Option<String> {
    let string = |path: &str| {
        let value = record.at(path)?;
        matches!(value.kind, Kind::Str(_)).then(|| value.text())?
    };
    let bucket = string("requestParameters.bucketName")?;
    let key = string("requestParameters.key")?;
    Some(format!("s3://{bucket}/{key}"))
}

pub fn bytes(record: &Json) -> Option<u64> {
    match (bytes_in(record), bytes_out(record)) {
        (None, None) => None,
        (coming, going) => Some(coming.unwrap_or(0).saturating_add(going.unwrap_or(0))),
    }
}

pub const BYTES_IN: &str = "additionalEventData.bytesTransferredIn";
pub const BYTES_OUT: &str = "additionalEventData.bytesTransferredOut";

pub fn bytes_in(record: &Json) -> Option<u64> {
    byte_count(record.at(BYTES_IN)?)
}

pub fn bytes_out(record: &Json) -> Option<u64> {
    byte_count(record.at(BYTES_OUT)?)
}

fn byte_count(value: &Json) -> Option<u64> {
    match value.kind {
        Kind::Number => number(value),
        _ => None,
    }
}

/// The number that a number or string is, truncated and saturated; none if it is negative.
pub fn number(value: &Json) -> Option<u64> {
    let number = match value.kind {
        Kind::Number => String::from_utf8(value.raw().to_vec()).ok()?,
        Kind::Str(_) => value.text()?,
        _ => return None,
    };
    // Numbers for Rust but not for JSON: `inf`, `nan`, `+1`, `.5`.
    let digits = number.strip_prefix('-').unwrap_or(&number);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = digits.parse::<u64>().unwrap_or(u64::MAX);
        return (whole == 0 || digits.len() == number.len()).then_some(whole);
    }
    let float = number.parse::<f64>().ok()?;
    // The cast truncates and saturates.
    (float >= 0.0).then_some(float as u64)
}

pub fn instance_name<'j, 'a>(record: &'j Json<'a>) -> Option<&'j Json<'a>> {
    let items = record.at("requestParameters.tagSpecificationSet.items")?;
    items
        .elements()?
        .iter()
        .filter(|item| text(item, "resourceType").as_deref() == Some("instance"))
        .filter_map(|item| item.member("tags")?.elements())
        .flatten()
        .filter(|tag| text(tag, "key").as_deref() == Some("Name"))
        .filter_map(|tag| some(tag, "value"))
        .find(|name| name.text().is_some_and(|name| !name.is_empty()))
}

pub fn image_ids<'j, 'a>(record: &'j Json<'a>) -> Vec<&'j Json<'a>> {
    match instances(record) {
        Some(items) => items.iter().filter_map(instance_image).collect(),
        None => requested_image(record).into_iter().collect(),
    }
}

pub fn image_id<'j, 'a>(record: &'j Json<'a>, index: usize) -> Option<&'j Json<'a>> {
    match instances(record) {
        Some(items) => instance_image(items.get(index)?),
        None if index == 0 => requested_image(record),
        None => None,
    }
}

fn instances<'j, 'a>(record: &'j Json<'a>) -> Option<&'j [Json<'a>]> {
    record.at("responseElements.instancesSet.items")?.elements()
}

fn instance_image<'j, 'a>(item: &'j Json<'a>) -> Option<&'j Json<'a>> {
    let image = item.member("imageId")?;
    let text = image.text().filter(|text| !text.is_empty());
    matches!(image.kind, Kind::Str(_))
        .then_some(image)
        .filter(|_| text.is_some())
}

fn requested_image<'j, 'a>(record: &'j Json<'a>) -> Option<&'j Json<'a>> {
    [
        "requestParameters.imageId",
        "requestParameters.DescribeFastLaunchImagesRequest.ImageId.content",
        "requestParameters.launchSpecification.imageId",
    ]
    .iter()
    .filter_map(|path| record.at(path))
    .find(|image| matches!(image.kind, Kind::Str(_)))
}

pub fn info(record: &Json) -> String {
    let who = non_empty(user(record).and_then(Json::text))
        .or_else(|| non_empty(text(record, "userIdentity.type")))
        .unwrap_or_else(|| "<NA>".to_owned());
    let source = non_empty(text(record, "sourceIPAddress")).filter(|source| *source != who);
    let via = source.map_or(String::new(), |source| format!(" via {source}"));
    let failed = non_empty(text(record, "errorCode")).map_or("", |_| "!");
    let arrow = if read_only(record).as_deref() == Some("false") {
        "→"
    } else {
        "←"
    };
    let name = text(record, "eventName").unwrap_or_default();
    format!("{who}{via} {failed}{arrow} {name}{}", detail(record, &name))
}

fn detail(record: &Json, name: &str) -> String {
    if name == "PutBucketPublicAccessBlock" {
        let block = record.at("requestParameters.PublicAccessBlockConfiguration");
        let Some(block) = block.filter(|block| matches!(block.kind, Kind::Object(_))) else {
            return String::new();
        };
        return [
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        ]
        .map(|key| format!(" {key}={}", text(block, key).unwrap_or_default()))
        .concat();
    }
    if text(record, "eventCategory").as_deref() == Some("Aggregated")
        && let Some(counts) = aggregate(record)
    {
        return match name {
            "" => counts.strip_prefix(' ').unwrap_or_default().to_owned(),
            _ => counts,
        };
    }
    let size = bytes(record).map_or(String::new(), |size| format!(" Size={size}"));
    let place = [
        ("URI", s3_uri(record)),
        ("Bucket", text(record, "requestParameters.bucketName")),
        ("Key", text(record, "requestParameters.key")),
        ("Host", text(record, "requestParameters.Host")),
    ]
    .into_iter()
    .find_map(|(label, value)| Some(format!(" {label}={}", non_empty(value)?)));
    size + &place.unwrap_or_default()
}

/// What an aggregated record counts; None without a summary.
fn aggregate(record: &Json) -> Option<String> {
    let primary = some(record, "summary")?.at("primaryDimension");
    let Some(dimension) = primary.and_then(|it| text(it, "dimension")) else {
        return Some(String::new());
    };
    let statistics = primary.and_then(|it| it.member("statistics")?.elements());
    let statistics = statistics.unwrap_or_default();
    let part = |item: &Json, key| text(item, key).unwrap_or_default();
    let counts = statistics
        .iter()
        .map(|item| format!("{}:{}", part(item, "name"), part(item, "value")));
    let mut counts: Vec<_> = counts.take(10).collect();
    if statistics.len() > 10 {
        counts.push("…".to_owned());
    }
    Some(match counts.is_empty() {
        true => format!(" {dimension}"),
        false => format!(" {dimension}={}", counts.join(",")),
    })
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

const READING: &str = "BatchCheck BatchDescribe BatchGet BatchHead BatchList Calculate Check \
    Compare Count Describe Detect Discover Download Estimate Filter Get Head List Lookup Preview \
    Query Read Scan Search Select Simulate TransactGet Validate View";

const CHANGING: &str = "Abort Accept Activate Add Allocate Allow Apply Approve Archive Assign \
    Associate Attach Authorize BatchAdd BatchAssociate BatchCreate BatchDelete BatchDisable \
    BatchDisassociate BatchEnable BatchImport BatchModify BatchPut BatchStop BatchUpdate \
    BatchWrite Cancel Change Clear Clone Close Complete Configure Confirm Connect Copy Create \
    Deactivate Deauthorize Decline Decrease Delete Deny Deploy Deprecate Deprovision Deregister \
    Detach Disable Disassociate Disconnect Enable Execute Expire Extend Failover Finalize Grant \
    Import Increase Initiate Insert Install Invite Issue Join Launch Leave Lock Merge Migrate \
    Modify Move Open Pause Post Promote Provision Publish Purchase Purge Put Reboot Rebuild \
    Register Reject Release Remove Rename Replace Replicate Request Reset Resize Restart Restore \
    Resume Retire Revoke Rollback Rotate Run Save Schedule Send Set Share Split Start Stop Submit \
    Subscribe Suspend Swap Switchover Tag Terminate TransactWrite Transfer Unarchive Unassign \
    Unlock Unregister Unshare Unsubscribe Untag Update Upgrade Upload Withdraw Write";
