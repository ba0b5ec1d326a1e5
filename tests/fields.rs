//! Every field of every sample record, through the library, against two oracles: the reviewed values in
//! `testdata/expected`, and one that computes them from the record's bytes.
#![forbid(unsafe_code)]

mod oracle;
mod policies;
mod support;

use std::fs;
use std::io::Read;
use std::path::Path;

use cloudtrail::host::{FieldType, OwnedEvent, OwnedValue as Value, Plugin};
use oracle::Record;
use serde_json::Value as Json;
use support::field_reader::{FieldReader, field_names, show};

const POINTERS: &[&str] = &[
    "",
    "/",
    "/responseElements/ConsoleLogin",
    "/requestParameters/ipPermissions/items/0/ipRanges/items/0/cidrIp",
    "/requestParameters/ipPermissions/items/0/fromPort",
    "/requestParameters/ipPermissions/items/00/fromPort",
    "/requestParameters/ipPermissions/items/-",
    "/responseElements/instancesSet/items/2/imageId",
    "/responseElements/instancesSet/items/3/imageId",
    "/eventContext/requestContext/aws:SourceIp",
    "/resources/1",
    "/requestParameters/key",
    "/eventName/0",
    "/no~1such~0key",
    "/requestParameters/maxResults",
    "/requestParameters/ipPermissions/items/*/ipRanges/items/*/cidrIp",
    "/responseElements/instancesSet/items/*/imageId",
    "/requestParameters/tagSpecificationSet/items/*/tags/*/value",
    "/resources/*/*",
    "/*",
    "/*/*/*",
];

/// A sample record and its expected values.
struct Sample {
    name: String,
    payload: Vec<u8>,
    expected: Json,
}

#[test]
fn library_lists_the_specified_fields() {
    let plugin = support::plugin("");
    let (given, known) = field_names(&plugin);
    assert_eq!(given, known);
}

#[test]
fn fields_have_the_specified_types_arguments_and_hints() {
    let plugin = support::plugin("");
    for field in plugin.fields() {
        let name = field.name.as_str();
        let is_number = ["s3.bytes", "s3.cnt.", "ct.num"];
        let is_number = is_number.iter().any(|start| name.starts_with(start));
        assert_eq!(field.field_type == FieldType::Uint64, is_number, "{name}");
        assert_eq!(field.field_type == FieldType::String, !is_number, "{name}");
        let is_indexed = name == "ec2.imageids" || name.starts_with("ct.resources.");
        let is_list = is_indexed || ["ct.values", "ct.policy.accounts"].contains(&name);
        assert_eq!(field.is_list, is_list, "{name}");
        let argument = field
            .arg
            .map(|arg| (arg.is_index, arg.is_key, arg.is_required));
        let expected = match name {
            "ct.value" | "ct.values" | "ct.num" => Some((false, true, true)),
            _ if is_indexed => Some((true, false, false)),
            _ => None,
        };
        assert_eq!(argument, expected, "{name}");
        let hint = match name {
            "ct.time" | "s3.bytes.in" | "s3.bytes.out" => &["hidden"][..],
            "s3.cnt.get" | "s3.cnt.put" | "s3.cnt.other" => &["hidden"],
            "ct.user" | "ct.srcip" | "s3.uri" | "s3.bucket" => &["conversation"],
            "ct.info" => &["info"],
            _ => &[],
        };
        assert_eq!(field.properties, hint, "{name}");
        assert!(!field.desc.is_empty(), "{name} has no description");
        assert!(
            field.display.as_ref().is_some_and(|it| !it.is_empty()),
            "{name} has no display name"
        );
    }
}

#[test]
fn sample_records_have_the_reviewed_values() {
    let plugin = support::plugin("");
    let mut samples = samples(false).into_iter();
    let mut reader = FieldReader::new(&plugin, POINTERS);
    let specs: Vec<String> = reader.specs().map(str::to_owned).collect();
    let mut wrong = Vec::new();
    support::each_event(&plugin, &support::testdata("logs"), |event| {
        let sample = samples.next().expect("no more events than samples");
        assert_eq!(
            String::from_utf8_lossy(event.payload()),
            String::from_utf8_lossy(&sample.payload),
            "{}",
            sample.name
        );
        assert_eq!(
            Some(event.ts()),
            sample.expected["timestamp"].as_u64(),
            "{}",
            sample.name
        );
        assert_eq!(
            plugin.event_to_string(event).as_deref(),
            sample.expected["string"].as_str(),
            "{}",
            sample.name
        );
        for (spec, given) in specs.iter().zip(reader.values(event)) {
            if !is_reviewed(spec) {
                continue;
            }
            let expected = reviewed(spec, &sample.expected["fields"][spec]);
            if given != expected {
                let (given, expected) = (show(&given), show(&expected));
                wrong.push(format!(
                    "{} {spec}: {given} instead of {expected}",
                    sample.name
                ));
            }
        }
    });
    assert!(samples.next().is_none(), "fewer events than samples");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_two_oracles_agree() {
    for sample in samples(true) {
        let record = Record::read(&sample.payload).expect("a record");
        let file = sample.name.rsplit('/').next().expect("a name");
        let time = sample.expected["timestamp"].as_u64();
        assert_eq!(record.timestamp(file), time, "{}", sample.name);
        for field in oracle::fields().filter(|field| !oracle::needs_pointer(field)) {
            let expected = reviewed(field, &sample.expected["fields"][field]);
            let own = record.value(field, None).map(support::field_reader::value);
            assert_eq!(own, expected, "{} {field}", sample.name);
        }
    }
}

#[test]
fn every_way_of_extraction_agrees_with_the_oracle() {
    let plugin = support::plugin(r#"{"includeInsights":true}"#);
    let mut reader = FieldReader::new(&plugin, POINTERS);
    let mut wrong = Vec::new();
    let count = support::each_event(&plugin, &support::testdata("logs"), |event| {
        let record = Record::read(event.payload()).expect("a record");
        wrong.extend(reader.differences(event, &record));
    });
    assert_eq!(count, samples(true).len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The plugin precomputes the fields that were extracted from earlier events.
#[test]
fn precomputed_values_agree_with_the_oracle() {
    let plugin = support::plugin(r#"{"includeInsights":true}"#);
    let mut reader = FieldReader::new(&plugin, POINTERS);
    for round in 0..3 {
        let mut wrong = Vec::new();
        support::each_event(&plugin, &support::testdata("logs"), |event| {
            if round == 0 {
                reader.values(event);
                return;
            }
            let record = Record::read(event.payload()).expect("a record");
            wrong.extend(reader.differences(event, &record));
        });
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn detached_events_have_the_values_of_live_ones() {
    let plugin = support::plugin("");
    let mut live = Vec::new();
    let mut reader = FieldReader::new(&plugin, POINTERS);
    support::each_event(&plugin, &support::testdata("logs"), |event| {
        let copy = OwnedEvent::from_bytes(event.as_bytes()).expect("an event");
        let values = reader.values(event);
        assert_eq!(
            reader.values(copy.as_event()),
            values,
            "a copy beside the live event"
        );
        assert_eq!(
            reader.values(event),
            values,
            "the live event after its copy"
        );
        live.push((copy, values));
    });
    for (copy, values) in &live {
        assert_eq!(reader.values(copy.as_event()), *values, "after close");
    }
    let unopened = support::plugin("");
    let mut reader = FieldReader::new(&unopened, POINTERS);
    for (copy, values) in &live {
        assert_eq!(reader.values(copy.as_event()), *values, "without any open");
    }
    for (copy, values) in live.iter().rev() {
        let renumbered = copy.as_event().with_number(1);
        assert_eq!(
            reader.values(renumbered),
            *values,
            "all with one event number"
        );
    }
}

#[test]
fn one_buffer_reused_for_all_events_gives_the_values_of_each() {
    let plugin = support::plugin("");
    let samples = samples(false);
    let longest = samples.iter().map(|s| s.payload.len()).max().unwrap_or(0);
    let mut reader = FieldReader::new(&plugin, POINTERS);
    // White space pads all events to the same length, so that they fit into one buffer.
    let padded = samples.iter().map(|sample| {
        let mut payload = vec![b' '; longest];
        let inside = longest - sample.payload.len() + 1;
        payload[0] = b'{';
        payload[inside..].copy_from_slice(&sample.payload[1..]);
        payload
    });
    let mut wrong = Vec::new();
    let mut places = Vec::new();
    for payload in padded {
        let event = OwnedEvent::new(plugin.info().id, 0, &payload);
        places.push(event.as_event().as_bytes().as_ptr());
        let record = Record::read(&payload).expect("a record");
        wrong.extend(reader.differences(event.as_event(), &record));
    }
    places.dedup();
    assert!(
        places.len() < samples.len() / 2,
        "the allocator did not give the same place again, so this test showed nothing"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn events_of_a_batch_can_be_extracted_in_any_order() {
    let plugin = support::plugin("");
    let mut reader = FieldReader::new(&plugin, POINTERS);
    let logs = support::testdata("logs");
    let mut capture = plugin
        .open(logs.to_str().expect("UTF-8"))
        .expect("an open source");
    let mut most = 0;
    loop {
        let (status, events) = capture.next_batch().expect("a batch");
        let events: Vec<_> = events.collect();
        most = most.max(events.len());
        let forth: Vec<_> = events.iter().map(|event| reader.values(*event)).collect();
        let back: Vec<_> = events
            .iter()
            .rev()
            .map(|event| reader.values(*event))
            .collect();
        assert!(forth.iter().eq(back.iter().rev()));
        for (event, values) in events.iter().zip(&forth) {
            assert_eq!(reader.values(*event), *values);
            assert_eq!(reader.values(events[0]), forth[0]);
        }
        if status == cloudtrail::host::Status::Eof {
            break;
        }
    }
    assert!(
        most > 1,
        "no batch had two events, so this test showed nothing"
    );
}

#[test]
fn thousands_of_pointers_can_be_extracted_at_once_and_one_by_one() {
    let plugin = support::plugin("");
    let list: Vec<String> = (0..5_000)
        .map(|number| format!("\"item {number}\""))
        .collect();
    let payload = format!(r#"{{"list":[{}]}}"#, list.join(","));
    let event = OwnedEvent::new(plugin.info().id, 7, payload.as_bytes());
    let request = |number: usize| {
        let spec = format!("ct.value[/list/{number}]");
        plugin.request(&spec).expect("a pointer")
    };
    let requests: Vec<_> = (0..5_000).map(request).collect();
    let together: Vec<_> = requests.iter().collect();
    let at_once = plugin.extract_values(event.as_event(), &together, false);
    let at_once = at_once.expect("values");
    for (number, request) in requests.iter().enumerate() {
        let expected = Some(Value::from(format!("item {number}").as_str()));
        assert_eq!(at_once[number].value, expected, "at once");
        let alone = plugin.extract_values(event.as_event(), &[request], false);
        assert_eq!(alone.expect("values")[0].value, expected, "one by one");
    }
}

#[test]
fn detached_bytes_that_are_no_record_have_no_values() {
    let plugin = support::plugin("");
    let mut reader = FieldReader::new(&plugin, &["/a"]);
    let payloads: [&[u8]; 7] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\0\0\0",
        b"{\"a\":",
        b"\xff\xfe{}",
    ];
    for payload in payloads {
        let event = OwnedEvent::new(plugin.info().id, 7, payload);
        let values = reader.values(event.as_event());
        assert_eq!(values.len(), reader.specs().count());
        let texts = reader
            .specs()
            .zip(&values)
            .filter(|(spec, value)| value.is_some() && spec.starts_with("ct.request"));
        assert_eq!(texts.count(), 0, "{payload:?}");
    }
    let good = OwnedEvent::new(plugin.info().id, 7, br#"{"a":"still fine"}"#);
    let at = reader
        .specs()
        .position(|spec| spec == "ct.value[/a]")
        .expect("a requested field");
    assert_eq!(
        reader.values(good.as_event())[at],
        Some(Value::from("still fine"))
    );
}

/// The delivered sample records, in file order.
fn samples(with_insights: bool) -> Vec<Sample> {
    let logs = support::testdata("logs");
    let mut samples = Vec::new();
    for path in support::files_below(&logs) {
        let text = read_log(&path);
        let name = path
            .strip_prefix(&logs)
            .expect("it is below")
            .to_str()
            .expect("UTF-8");
        let expected = support::testdata(&format!("expected/{name}.fields.json"));
        let expected = fs::read(&expected).unwrap_or_else(|_| panic!("{}", expected.display()));
        let expected: Vec<Json> = serde_json::from_slice(&expected).expect("a JSON array");
        for record in expected {
            let start = record["start"].as_u64().expect("a number") as usize;
            let length = record["length"].as_u64().expect("a number") as usize;
            if with_insights || record["only_with_insights"] == false {
                samples.push(Sample {
                    name: format!("{name} at {start}"),
                    payload: text[start..start + length].to_vec(),
                    expected: record,
                });
            }
        }
    }
    samples
}

fn read_log(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a file");
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .read_to_end(&mut text)
        .expect("gzip");
    text
}

/// The reviewed values cover only some pointers and indices.
fn is_reviewed(spec: &str) -> bool {
    let Some((field, argument)) = spec.split_once('[') else {
        return true;
    };
    let pointers = [
        "/responseElements/ConsoleLogin]",
        "/requestParameters/ipPermissions/items/0/ipRanges/items/0/cidrIp]",
        "/requestParameters/ipPermissions/items/0/fromPort]",
        "/responseElements/instancesSet/items/2/imageId]",
        "/eventContext/requestContext/aws:SourceIp]",
        "/resources/1]",
        "/requestParameters/key]",
        "/requestParameters/maxResults]",
    ];
    let patterns = [
        "/requestParameters/ipPermissions/items/*/ipRanges/items/*/cidrIp]",
        "/responseElements/instancesSet/items/*/imageId]",
        "/requestParameters/tagSpecificationSet/items/*/tags/*/value]",
        "/resources/*/*]",
        "/requestParameters/key]",
    ];
    match field {
        "ct.value" | "ct.num" => pointers.contains(&argument),
        "ct.values" => patterns.contains(&argument),
        _ => ["0]", "1]"].contains(&argument),
    }
}

/// Whether it is a list field with an index, such as `ec2.imageids[0]`.
fn is_indexed(spec: &str) -> bool {
    spec.split_once('[')
        .is_some_and(|(_, argument)| !argument.starts_with('/'))
}

fn reviewed(spec: &str, json: &Json) -> Option<Value> {
    match json {
        Json::Null => None,
        Json::String(text) if is_indexed(spec) => {
            Some(Value::StrList(vec![text.clone().into_bytes()]))
        }
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Number(number) => number.as_u64().map(Value::U64),
        Json::Array(list) => Some(Value::StrList(
            list.iter()
                .map(|text| text.as_str().expect("a string").as_bytes().to_vec())
                .collect(),
        )),
        other => panic!("{other} is not a field value"),
    }
}

#[test]
fn plugin_can_move_to_another_thread() {
    let plugin: Plugin = support::plugin("");
    let count = std::thread::spawn(move || {
        support::each_event(&plugin, &support::testdata("logs"), |_| {})
    });
    assert_eq!(count.join().expect("no panic"), samples(false).len());
}
