//! The fields `ct.policy.*`, through the library, against values that are written down and against the oracle.

mod generator;
mod hostile;
mod identity;
mod public;
mod search;

use cloudtrail::host::{Event, OwnedEvent, OwnedValue, Plugin, Requests};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::oracle::{Expected, Record};
use crate::support;

const FIELDS: [&str; 4] = [
    "ct.policy.public",
    "ct.policy.accounts",
    "ct.policy.unlimited",
    "ct.policy.escalates",
];

/// The account that receives all records of these tests.
const OWN: &str = "111122223333";

/// What the four fields say: `None` for no value, and no accounts for no list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    public: Option<bool>,
    accounts: Vec<String>,
    unlimited: Option<bool>,
    escalates: Option<bool>,
}

/// Extracts the fields in every way that a host may.
struct Reader<'p> {
    plugin: &'p Plugin,
    alone: Vec<Requests>,
    together: Requests,
}

impl<'p> Reader<'p> {
    fn new(plugin: &'p Plugin) -> Reader<'p> {
        let request = |field: &&str| plugin.request(field).expect("a field");
        let set = |fields: &[&str]| {
            Requests::new(fields.iter().map(request).collect()).expect("requests of one plugin")
        };
        Reader {
            plugin,
            alone: FIELDS.iter().map(|field| set(&[field])).collect(),
            together: set(&FIELDS),
        }
    }

    /// The values of a detached event with this record.
    fn read(&mut self, record: &[u8]) -> Values {
        let event = OwnedEvent::new(self.plugin.info().id, 1, record);
        self.read_event(event.as_event())
    }

    fn read_event(&mut self, event: Event) -> Values {
        let mut together = Vec::new();
        for located in [false, true] {
            let values = self.plugin.extract(event, &mut self.together, located);
            let values = values.expect("values");
            let all = (0..FIELDS.len()).map(|field| values.field(field).to_value());
            together.push(all.collect::<Vec<_>>());
        }
        assert_eq!(together[0], together[1], "with and without offsets");
        for (field, requests) in self.alone.iter_mut().enumerate() {
            let values = self.plugin.extract(event, requests, true).expect("values");
            let value = values.field(0).to_value();
            assert_eq!(value, together[0][field], "alone: {}", FIELDS[field]);
            let offsets = values.offsets(0).collect::<Vec<_>>();
            let count = match &value {
                None => 0,
                Some(OwnedValue::StrList(list)) => list.len(),
                Some(_) => 1,
            };
            assert_eq!(offsets, vec![(0, 0); count], "computed: {}", FIELDS[field]);
        }
        let flag = |value: &Option<OwnedValue>| match value {
            None => None,
            Some(OwnedValue::Str(text)) if text == b"true" => Some(true),
            Some(OwnedValue::Str(text)) if text == b"false" => Some(false),
            other => panic!("{other:?} is no flag"),
        };
        let values = &together[0];
        Values {
            public: flag(&values[0]),
            accounts: match &values[1] {
                None => Vec::new(),
                Some(OwnedValue::StrList(list)) => {
                    let text = |text: &Vec<u8>| String::from_utf8(text.clone()).expect("digits");
                    list.iter().map(text).collect()
                }
                other => panic!("{other:?} is no list"),
            },
            unlimited: flag(&values[2]),
            escalates: flag(&values[3]),
        }
    }
}

/// The oracle's values.
fn expected(record: &[u8]) -> Values {
    let record = Record::read(record).expect("an object");
    let flag = |field| match record.value(field, None) {
        None => None,
        Some(Expected::Text(text)) => Some(text == "true"),
        other => panic!("{other:?} is no flag"),
    };
    Values {
        public: flag(FIELDS[0]),
        accounts: match record.value(FIELDS[1], None) {
            None => Vec::new(),
            Some(Expected::List(list)) => list,
            other => panic!("{other:?} is no list"),
        },
        unlimited: flag(FIELDS[2]),
        escalates: flag(FIELDS[3]),
    }
}

/// A record of a request.
fn record(service: &str, name: &str, parameters: &Json) -> Vec<u8> {
    record_with(service, name, &parameters.to_string())
}

/// A record of a request whose parameters are this JSON text.
fn record_with(service: &str, name: &str, parameters: &str) -> Vec<u8> {
    format!(
        r#"{{"eventVersion":"1.11","eventSource":"{service}.amazonaws.com","eventName":"{name}",
            "awsRegion":"us-east-1","recipientAccountId":"{OWN}","requestParameters":{parameters}}}"#
    )
    .into_bytes()
}

/// Reads records and compares the values with the oracle's too.
fn values(records: &[Vec<u8>]) -> Vec<Values> {
    let plugin = support::plugin("");
    let mut reader = Reader::new(&plugin);
    let read = |record: &Vec<u8>| {
        let values = reader.read(record);
        assert_eq!(
            values,
            expected(record),
            "{}",
            String::from_utf8_lossy(record)
        );
        values
    };
    records.iter().map(read).collect()
}

/// A bucket policy of one statement with this principal and what else is in `more`.
fn bucket_policy(statement: Json) -> Vec<u8> {
    let mut whole = json!({"Effect": "Allow", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bucket/*"});
    let parts = whole.as_object_mut().expect("an object");
    parts.extend(statement.as_object().expect("an object").clone());
    let policy = json!({"Version": "2012-10-17", "Statement": [whole]});
    record(
        "s3",
        "PutBucketPolicy",
        &json!({"bucketName": "bucket", "bucketPolicy": policy}),
    )
}

/// A role's policy with this `Statement`, as IAM logs it.
fn role_policy(statement: Json) -> Vec<u8> {
    let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let parameters = json!({"roleName": "r", "policyName": "p", "policyDocument": policy});
    record("iam", "PutRolePolicy", &parameters)
}

#[test]
fn generated_policies_have_the_oracles_values() {
    let plugin = support::plugin("");
    let reader = std::cell::RefCell::new(Reader::new(&plugin));
    let config = ProptestConfig {
        cases: std::env::var("PROPTEST_CASES")
            .map_or(3_000, |text| text.parse().expect("a number")),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let counts = std::cell::RefCell::new([0_usize; 6]);
    proptest!(config, |(record in generator::record())| {
        let values = reader.borrow_mut().read(&record);
        prop_assert_eq!(&values, &expected(&record), "{}", String::from_utf8_lossy(&record));
        let found = [
            values.public == Some(true),
            values.public == Some(false),
            !values.accounts.is_empty(),
            values.unlimited == Some(true),
            values.unlimited == Some(false) && values.escalates == Some(true),
            values.escalates == Some(false),
        ];
        for (count, found) in counts.borrow_mut().iter_mut().zip(found) {
            *count += usize::from(found);
        }
    });
    let counts = counts.into_inner();
    println!(
        "public {}, not {}, accounts {}, unlimited {}, escalates only {}, neither {}",
        counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]
    );
    assert!(
        counts.iter().all(|&count| count > 20),
        "too few of a kind: {counts:?}"
    );
}
