//! Generates containers of records as strings, written as strictly or as loosely as JSON can be: CloudWatch Logs
//! envelopes mostly, the output of `lookup-events`, and lines of export tasks.
#![forbid(unsafe_code)]

use proptest::prelude::*;
use proptest::sample::select;

use crate::generator::{Text, members, record};
use crate::support::scratch::gzip;

/// A file of envelopes.
#[derive(Clone, Debug)]
pub struct EnvelopeFile {
    pub envelopes: Vec<Envelope>,
    /// Between envelopes. AWS writes nothing.
    separator: &'static str,
    packing: Packing,
}

#[derive(Clone, Debug)]
pub struct Envelope {
    pub events: Vec<LogEvent>,
    form: EnvelopeForm,
    /// A control message stands before it.
    after_control: bool,
}

/// A log event with a record as its message.
#[derive(Clone, Debug)]
pub struct LogEvent {
    pub record: Text,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    space: (Text, Text),
    form: EventForm,
    escapes: Escapes,
}

#[derive(Clone, Copy, Debug)]
enum EnvelopeForm {
    /// As AWS writes it.
    Ordinary,
    /// The key that tells what it is comes last.
    Reversed,
    /// White space around every token, and unknown members.
    Spacious,
    /// Keys with escapes.
    EscapedKeys,
    /// The output of `lookup-events`.
    LookupEvents,
    /// Lines of an export task, in which the records are no strings.
    Lines,
}

#[derive(Clone, Copy, Debug)]
enum EventForm {
    Ordinary,
    MessageFirst,
    /// With members that look like others.
    Extended,
}

/// How a string is escaped.
#[derive(Clone, Copy, Debug)]
struct Escapes {
    /// Of 256 characters, so many are written as `\uXXXX` without need.
    unicode: u8,
    /// Control characters and slashes: 0 as short as possible, 1 as `\uXXXX`, 2 unescaped, which strict JSON forbids.
    control: u8,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Packing {
    Plain,
    Gzip,
    /// Each part is a gzip member; cut at these offsets, in 256ths of the text.
    Members(Vec<u8>),
    /// The members, as Firehose packs them once more.
    GzipInGzip(Vec<u8>),
}

/// Any file.
pub fn envelope_file() -> impl Strategy<Value = EnvelopeFile> {
    let cuts = || prop::collection::vec(any::<u8>(), 0..4);
    let packing = prop_oneof![
        3 => Just(Packing::Plain),
        2 => Just(Packing::Gzip),
        2 => cuts().prop_map(Packing::Members),
        2 => cuts().prop_map(Packing::GzipInGzip),
    ];
    let separator = select(&["", "", "\n", " \r\n\t"][..]);
    let envelopes = prop::collection::vec(envelope(), 1..4);
    (envelopes, separator, packing).prop_map(|(envelopes, separator, packing)| EnvelopeFile {
        envelopes,
        separator,
        packing,
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let form = prop_oneof![
        4 => Just(EnvelopeForm::Ordinary),
        1 => Just(EnvelopeForm::Reversed),
        1 => Just(EnvelopeForm::Spacious),
        1 => Just(EnvelopeForm::EscapedKeys),
        1 => Just(EnvelopeForm::LookupEvents),
        1 => Just(EnvelopeForm::Lines),
    ];
    let events = prop::collection::vec(log_event(), 0..4);
    (events, form, any::<bool>()).prop_map(|(events, form, after_control)| Envelope {
        events,
        form,
        after_control,
    })
}

fn log_event() -> impl Strategy<Value = LogEvent> {
    let space = || select(&["", "", "", " ", "\n", " \t\r\n"][..]);
    let form = prop_oneof![
        3 => Just(EventForm::Ordinary),
        1 => Just(EventForm::MessageFirst),
        1 => Just(EventForm::Extended),
    ];
    let unicode = select(&[0_u8, 0, 3, 60, 255][..]);
    let escapes = (unicode, 0_u8..3, any::<u64>()).prop_map(|(unicode, control, seed)| Escapes {
        unicode,
        control,
        seed,
    });
    let timestamp = 1_700_000_000_000_u64..1_800_000_000_000;
    (record(), timestamp, (space(), space()), form, escapes).prop_map(
        |(record, timestamp, space, form, escapes)| LogEvent {
            record,
            timestamp,
            space: (space.0.into(), space.1.into()),
            form,
            escapes,
        },
    )
}

impl EnvelopeFile {
    /// All log events, in order.
    pub fn events(&self) -> impl Iterator<Item = &LogEvent> {
        self.envelopes.iter().flat_map(|envelope| &envelope.events)
    }

    /// The bytes of the file.
    pub fn content(&self) -> Vec<u8> {
        let envelopes: Vec<Text> = self.envelopes.iter().map(Envelope::text).collect();
        let text = envelopes.join(self.separator.as_bytes());
        match &self.packing {
            Packing::Plain => text,
            Packing::Gzip => gzip(&text),
            Packing::Members(cuts) => members(&text, cuts),
            Packing::GzipInGzip(cuts) => gzip(&members(&text, cuts)),
        }
    }
}

const CONTROL: &str = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}"#;

impl Envelope {
    fn text(&self) -> Text {
        let of_event = match self.form {
            EnvelopeForm::LookupEvents => LogEvent::looked_up,
            EnvelopeForm::Lines => LogEvent::line,
            _ => LogEvent::text,
        };
        let events: Vec<Text> = self.events.iter().map(of_event).collect();
        let (before, separator, after) = match self.form {
            EnvelopeForm::Ordinary => (
                r#"{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"a/\"b","logStream":"s","subscriptionFilters":["all","[{\"x"],"logEvents":["#,
                ",",
                "]}",
            ),
            EnvelopeForm::Reversed => (
                r#"{"logEvents":["#,
                ",",
                r#"],"subscriptionFilters":["all"],"owner":"111122223333","messageType":"DATA_MESSAGE"}"#,
            ),
            EnvelopeForm::Spacious => (
                "{ \"unknown\" : {\"logEvents\":[]} ,\r\n\t\"messageType\" : \"DATA_MESSAGE\" , \"logEvents\" : [ ",
                " ,\n ",
                " ] , \"policyLevel\" : null }",
            ),
            EnvelopeForm::EscapedKeys => (
                r#"{"message\u0054ype":"DATA\u005fMESSAGE","log\u0045vents":["#,
                ",",
                "]}",
            ),
            EnvelopeForm::LookupEvents => (
                "{\n    \"Events\": [\n",
                ",\n",
                "\n    ],\n    \"NextToken\": \"x\"\n}\n",
            ),
            EnvelopeForm::Lines => ("\n", "", ""),
        };
        let control = match self.after_control {
            true => CONTROL,
            false => "",
        };
        let joined = events.join(separator.as_bytes());
        [
            control.as_bytes(),
            before.as_bytes(),
            &joined,
            after.as_bytes(),
        ]
        .concat()
    }
}

impl LogEvent {
    /// The message as JSON, with its quotes.
    pub fn message(&self) -> Text {
        let message = [&self.space.0[..], &self.record, &self.space.1].concat();
        self.escapes.quoted(&message)
    }

    /// An event of `lookup-events`.
    fn looked_up(&self) -> Text {
        let (seconds, rest) = (self.timestamp / 1000, self.timestamp % 1000);
        let before = format!(
            r#"{{"EventId":"{{}}","EventTime":{seconds}.{rest:03},"Resources":[{{"ResourceName":"x"}}],"CloudTrailEvent": "#
        );
        [before.as_bytes(), &self.message(), b"}"].concat()
    }

    /// A line of an export task.
    fn line(&self) -> Text {
        let seconds = i64::try_from(self.timestamp / 1000).expect("this century");
        let time = time::OffsetDateTime::from_unix_timestamp(seconds).expect("this century");
        let (hour, minute, second) = time.to_hms();
        let before = format!(
            "{}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z ",
            time.year(),
            u8::from(time.month()),
            time.day(),
            self.timestamp % 1000
        );
        [before.as_bytes(), &self.record, b"\n"].concat()
    }

    fn text(&self) -> Text {
        let (before, after) = match self.form {
            EventForm::Ordinary => (
                format!(r#"{{"id":"1","timestamp":{},"message":"#, self.timestamp),
                "}".to_owned(),
            ),
            EventForm::MessageFirst => (
                r#"{"message":"#.to_owned(),
                format!(r#","timestamp":{},"id":"\"}}]"}}"#, self.timestamp),
            ),
            EventForm::Extended => (
                format!(
                    r#"{{"extractedFields":{{"message":"{{}}","eventTime":"x"}},"timestamp":{},"message":"#,
                    self.timestamp
                ),
                r#","message":"{\"eventVersion\":\"second\"}"}"#.to_owned(),
            ),
        };
        [before.as_bytes(), &self.message(), after.as_bytes()].concat()
    }
}

impl Escapes {
    fn quoted(self, text: &[u8]) -> Text {
        let mut quoted = vec![b'"'];
        let mut state = self.seed | 1;
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                // Xorshift.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                self.push(character, state, &mut quoted);
            }
            quoted.extend(chunk.invalid());
        }
        quoted.push(b'"');
        quoted
    }

    fn push(self, character: char, random: u64, quoted: &mut Text) {
        let needless = (random >> 8) as u8 <= self.unicode && self.unicode > 0;
        let short = match character {
            '"' | '\\' => Some(character as u8),
            '/' if self.control != 2 && random & 1 == 0 => Some(b'/'),
            '\u{8}' => Some(b'b'),
            '\u{c}' => Some(b'f'),
            '\n' => Some(b'n'),
            '\r' => Some(b'r'),
            '\t' => Some(b't'),
            _ => None,
        };
        let is_control = character < ' ';
        match short {
            _ if needless || (is_control && self.control == 1) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let escape = match random & 2 {
                        0 => format!("\\u{unit:04x}"),
                        _ => format!("\\u{unit:04X}"),
                    };
                    quoted.extend(escape.into_bytes());
                }
            }
            _ if is_control && self.control == 2 => quoted.push(character as u8),
            Some(short) => quoted.extend([b'\\', short]),
            None if is_control => quoted.extend(format!("\\u{:04x}", character as u32).bytes()),
            None => quoted.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
}
