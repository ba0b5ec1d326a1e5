//! Recognizes values that hold CloudTrail records further inside, as the record reader opens them in files.
#![forbid(unsafe_code)]

use super::is_record;
use super::json::{members, string};
use crate::json::{Tape, Value, ValueType};

/// What a container holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordContainer {
    /// At least one record.
    Records,
    /// CloudWatch Logs' probe of a destination.
    Probe,
}

/// Recognizes a CloudWatch Logs envelope with a record, the output of `lookup-events`, and an EventBridge event.
pub(super) fn container(tape: Tape<'_>, value: Value) -> Option<RecordContainer> {
    let [log_events, message_type, events, detail_type, detail] = members(
        tape,
        value,
        [
            "logEvents",
            "messageType",
            "Events",
            "detail-type",
            "detail",
        ],
    );
    let holds = |list: Option<Value>, name: &str| {
        let list = list.filter(|list| tape.value_type(*list) == ValueType::Array);
        list.is_some_and(|list| {
            tape.elements(list)
                .any(|event| is_record_text(tape, members(tape, event, [name])[0]))
        })
    };
    if log_events.is_some()
        && string(tape, message_type).is_some_and(|kind| kind == "CONTROL_MESSAGE")
    {
        return Some(RecordContainer::Probe);
    }
    let is_event = || detail_type.is_some() && detail.is_some_and(|detail| is_record(tape, detail));
    let holds_records =
        holds(log_events, "message") || holds(events, "CloudTrailEvent") || is_event();
    holds_records.then_some(RecordContainer::Records)
}

/// Whether a string appears to be a record. Only the record reader decides; another log's text is not delivered.
fn is_record_text(tape: Tape<'_>, value: Option<Value>) -> bool {
    let Some(text) = value.and_then(|value| tape.string(value)) else {
        return false;
    };
    let has = |key: &[u8]| memchr::memmem::find(text, key).is_some();
    text.trim_ascii_start().starts_with(b"{") && (has(b"eventTime") || has(b"eventVersion"))
}
