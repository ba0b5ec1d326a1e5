//! Public sample records, which are not part of the project: every field against the oracle, and against the recorded
//! values of the Go plugin 0.17.1. Reads the folder in `CLOUDTRAIL_CORPUS`: `CLOUDTRAIL_CORPUS=/path cargo test --test corpus`.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use cloudtrail::host::OwnedValue as Value;
use oracle::json::{Json, Kind};
use oracle::{Expected, Record};
use support::field_reader::{FieldReader, show};

/// The Go plugin's values by file, event number and field.
type Upstream = BTreeMap<String, BTreeMap<usize, BTreeMap<String, Value>>>;

/// An intended difference from the Go plugin: fields, reason and condition.
struct Intended {
    fields: &'static [&'static str],
    reason: &'static str,
    holds: fn(&Difference) -> bool,
}

/// A field for which the two plugins differ.
struct Difference<'a> {
    record: Json<'a>,
    ours: Option<String>,
    theirs: Option<String>,
    /// Whether the Go plugin has a value for ct.user.
    their_user: bool,
}

const INTENDED: &[Intended] = &[
    Intended {
        fields: &["ct.request", "ct.response"],
        reason: "null is no value; the Go plugin returns the text `null`",
        holds: |it| it.ours.is_none() && it.theirs.as_deref() == Some("null"),
    },
    Intended {
        fields: &["ct.request", "ct.response"],
        reason: "a string gives its text; the Go plugin gives it with its quotes",
        holds: |it| it.theirs == it.ours.as_ref().map(|text| format!("{text:?}")),
    },
    Intended {
        fields: &["ct.request.policy"],
        reason: "an array or object gives its JSON text; the Go plugin gives an empty text",
        holds: |it| {
            let policy = it.record.at("requestParameters.policy").map(|it| &it.kind);
            matches!(policy, Some(Kind::Array(_) | Kind::Object(_)))
                && it.theirs.as_deref() == Some("")
        },
    },
    Intended {
        fields: &["ct.readonly"],
        reason: "without readOnly the verb of eventName decides; the Go plugin gives none",
        holds: |it| it.record.at("readOnly").is_none() && it.theirs.is_none(),
    },
    Intended {
        fields: &["ct.managementevent"],
        reason: "without managementEvent the category or type decides; the Go plugin gives none",
        holds: |it| it.record.at("managementEvent").is_none() && it.theirs.is_none(),
    },
    Intended {
        fields: &["ct.readonly"],
        reason: "the string \"true\" counts; the Go plugin takes it for false",
        holds: |it| is_true_string(&it.record, "readOnly"),
    },
    Intended {
        fields: &["ct.managementevent"],
        reason: "the string \"true\" counts; the Go plugin takes it for false",
        holds: |it| is_true_string(&it.record, "managementEvent"),
    },
    Intended {
        fields: &["ct.sessioncredentialfromconsole"],
        reason: "the string \"true\" counts; the Go plugin takes it for false",
        holds: |it| is_true_string(&it.record, "sessionCredentialFromConsole"),
    },
    Intended {
        fields: &["ct.user"],
        reason: "Root without a userName is `Root`; the Go plugin gives none",
        holds: |it| it.ours.as_deref() == Some("Root") && it.theirs.is_none(),
    },
    Intended {
        fields: &["ct.user"],
        reason: "other types show userName or invokedBy; the Go plugin gives none",
        holds: |it| {
            let identity = |key: &str| it.record.at("userIdentity")?.member(key)?.text();
            it.theirs.is_none()
                && (it.ours == identity("userName") || it.ours == identity("invokedBy"))
        },
    },
    Intended {
        fields: &["ct.info"],
        reason: "the Go plugin calls an event without ct.user invalid",
        holds: |it| {
            let words = "<invalid cloudtrail event: userIdentity field missing>";
            !it.their_user && it.theirs.as_deref() == Some(words)
        },
    },
    Intended {
        fields: &["ct.info"],
        reason: "the Go plugin calls an event without a source address invalid",
        holds: |it| {
            let words = "<invalid cloudtrail event: eventSource field missing>";
            it.record.at("sourceIPAddress").is_none() && it.theirs.as_deref() == Some(words)
        },
    },
    Intended {
        fields: &["ct.info"],
        reason: "the arrow follows ct.readonly, which differs",
        holds: |it| {
            let turned = it.theirs.as_ref().map(|text| turn(text));
            turned == it.ours.as_ref().map(|text| turn(text))
                && (it.record.at("readOnly").is_none() || is_true_string(&it.record, "readOnly"))
        },
    },
    Intended {
        fields: &["ct.info"],
        reason: "an empty errorCode is no error; the Go plugin marks it, and takes a missing readOnly for true",
        holds: |it| {
            let code = it.record.at("errorCode").and_then(Json::text);
            let unmarked = it
                .theirs
                .as_ref()
                .map(|text| turn(text).replacen('!', "", 1));
            code.as_deref() == Some("") && unmarked == it.ours.as_ref().map(|text| turn(text))
        },
    },
    Intended {
        fields: &["s3.cnt.get", "s3.cnt.put", "s3.cnt.other"],
        reason: "a count of 0 is a value; the Go plugin gives none",
        holds: |it| it.ours.as_deref() == Some("U64(0)") && it.theirs.is_none(),
    },
];

/// Fields that the Go plugin does not have.
const OURS: &str = "ct.value ct.eventversion ct.vpcendpointaccountid ct.tlsdetails.keyexchange \
    ct.eventcontext ct.insightdetails ct.user.accesskeyid ct.user.invokedby ct.user.credentialid \
    ct.user.identityprovider ct.user.onbehalfof.userid ct.user.onbehalfof.identitystorearn \
    ct.user.inscopeof ct.session.mfaauthenticated ct.session.creationdate \
    ct.session.sourceidentity ct.session.ec2roledelivery ct.session.issuer.type \
    ct.session.issuer.arn ct.session.issuer.accountid ct.session.issuer.principalid \
    ct.session.issuer.username ct.mfaused ct.consolelogin ct.request.documentname";

#[test]
fn all_records_of_the_corpus_agree_with_the_oracle() {
    let corpus = corpus();
    let plugin = support::plugin(r#"{"includeInsights":true}"#);
    let pointers = [
        "",
        "/userIdentity/arn",
        "/requestParameters/bucketName",
        "/resources/0/ARN",
    ];
    let mut reader = FieldReader::new(&plugin, &pointers);
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in logs(&corpus) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        count += support::each_event(&plugin, &path, |event| {
            let record = Record::read(event.payload()).expect("a record");
            if Some(event.ts()) != record.timestamp(name) {
                wrong.push(format!("{name}: timestamp {}", event.ts()));
            }
            let differences = reader.differences(event, &record);
            wrong.extend(differences.into_iter().map(|it| format!("{name}: {it}")));
        });
    }
    assert!(count > 800, "only {count} events");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn differences_from_the_go_plugin_are_the_intended_ones() {
    let corpus = corpus();
    let upstream = upstream(&corpus);
    let plugin = support::plugin("");
    let mut reader = FieldReader::new(&plugin, &[]);
    let specs: Vec<String> = reader.specs().map(str::to_owned).collect();
    let compared = |spec: &&String| !spec.contains('[') && !OURS.split(' ').any(|it| it == **spec);
    let mut compared_events = 0;
    let mut used = vec![0; INTENDED.len()];
    let mut wrong = Vec::new();
    for path in logs(&corpus) {
        let name = path
            .strip_prefix(&corpus)
            .expect("it is below")
            .to_str()
            .expect("UTF-8");
        let Some(theirs) = upstream.get(name) else {
            continue;
        };
        let mut number = 0;
        support::each_event(&plugin, &path, |event| {
            let record = Record::read(event.payload()).expect("a record");
            if !is_delivered_by_upstream(&record) {
                return;
            }
            number += 1;
            compared_events += 1;
            let Some(theirs) = theirs.get(&number) else {
                wrong.push(format!("{name} {number}: the Go plugin has no such event"));
                return;
            };
            let time = theirs.get("ts");
            if time != Some(&Value::U64(event.ts())) {
                wrong.push(format!("{name} {number}: time {} not {time:?}", event.ts()));
            }
            for (spec, ours) in specs
                .iter()
                .zip(reader.values(event))
                .filter(|(spec, _)| compared(spec))
            {
                let theirs_of_field = theirs.get(spec.as_str());
                if ours.as_ref() == theirs_of_field {
                    continue;
                }
                let difference = Difference {
                    record: Json::read(event.payload(), 0).expect("a record"),
                    ours: ours.as_ref().map(as_text),
                    theirs: theirs_of_field.map(as_text),
                    their_user: theirs.contains_key("ct.user"),
                };
                let reason = INTENDED.iter().position(|intended| {
                    intended.fields.contains(&spec.as_str()) && (intended.holds)(&difference)
                });
                match reason {
                    Some(place) => used[place] += 1,
                    None => wrong.push(format!(
                        "{name} {number} {spec}: {} but the Go plugin {}",
                        show(&ours),
                        show(&theirs_of_field.cloned())
                    )),
                }
            }
        });
        if number != theirs.len() {
            wrong.push(format!(
                "{name}: {number} events, the Go plugin {}",
                theirs.len()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let recorded: usize = upstream.values().map(BTreeMap::len).sum();
    assert_eq!(compared_events, recorded);
    for (intended, used) in INTENDED.iter().zip(used) {
        let Intended { fields, reason, .. } = intended;
        println!("{used:4} times {}: {reason}", fields.join(", "));
        assert!(
            used > 0,
            "no longer a difference: {}: {reason}",
            fields.join(", ")
        );
    }
}

fn corpus() -> PathBuf {
    let folder = std::env::var_os("CLOUDTRAIL_CORPUS").unwrap_or_else(|| {
        panic!(
            "the environment variable CLOUDTRAIL_CORPUS names no folder of sample records; these tests need one: \
             CLOUDTRAIL_CORPUS=/path cargo test --test corpus"
        )
    });
    PathBuf::from(folder)
}

fn logs(corpus: &Path) -> Vec<PathBuf> {
    let folders = ["formats", "malformed", "records"].map(|folder| corpus.join(folder));
    let files = folders
        .iter()
        .flat_map(|folder| support::files_below(folder));
    files
        .filter(|path| {
            path.extension()
                .is_some_and(|it| it == "json" || it == "gz")
        })
        .collect()
}

/// The Go plugin drops records without an eventType or a strict eventTime.
fn is_delivered_by_upstream(record: &Record) -> bool {
    let text = |field| match record.value(field, None) {
        Some(Expected::Text(text)) => text,
        _ => String::new(),
    };
    let time = text("ct.time");
    !text("ct.eventtype").is_empty() && time.contains('T') && time.ends_with('Z')
}

fn upstream(corpus: &Path) -> Upstream {
    let file = File::open(corpus.join("upstream-values.tsv.gz")).expect("the recorded values");
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("gzip of UTF-8");
    let mut upstream = Upstream::new();
    for line in text.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut column = || columns.next().expect("five columns");
        let (file, number, _, field, json) = (column(), column(), column(), column(), column());
        let value = match serde_json::from_str(json).expect("JSON") {
            serde_json::Value::String(text) => Value::from(text.as_str()),
            serde_json::Value::Array(list) => {
                let text = |it: serde_json::Value| it.as_str().expect("text").as_bytes().to_vec();
                Value::StrList(list.into_iter().map(text).collect())
            }
            number => Value::U64(number.as_u64().expect("a number")),
        };
        upstream
            .entry(file.to_owned())
            .or_default()
            .entry(number.parse().expect("a number"))
            .or_default()
            .insert(field.to_owned(), value);
    }
    upstream
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Str(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

fn is_true_string(record: &Json, key: &str) -> bool {
    matches!(record.at(key).map(|it| &it.kind), Some(Kind::Str(text)) if text == "true")
}

fn turn(info: &str) -> String {
    info.replacen('→', "←", 1)
}
