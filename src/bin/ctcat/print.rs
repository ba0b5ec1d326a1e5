//! One event as one line.
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use cloudtrail::error::{Error, Result};
use cloudtrail::host::{Event, FieldValues, Plugin, Request, Requests, ValueRef};

use crate::args::Output;
use crate::clock;
use crate::escape;

/// Extracts and prints; allocates nothing per event.
pub struct Printer<'p> {
    plugin: &'p Plugin,
    output: Output,
    payload: bool,
    /// One set per extraction call.
    calls: Vec<Requests>,
    /// The fields' names in the form that the output wants in front of a value.
    labels: Vec<Vec<u8>>,
    /// The plugin's own summary of an event.
    text: Vec<u8>,
}

/// What went wrong with the extraction of one event.
pub struct Failures {
    /// Calls that failed.
    pub calls: u64,
    /// The last one's reason.
    pub reason: Option<Error>,
}

impl<'p> Printer<'p> {
    /// `requests` are printed in their order, in one extraction call if `single_call`, else in one call each.
    pub fn new(
        plugin: &'p Plugin,
        output: Output,
        payload: bool,
        requests: Vec<Request>,
        single_call: bool,
    ) -> Result<Printer<'p>> {
        let labels = requests.iter().map(|r| label(output, r.spec())).collect();
        let calls = match (requests.is_empty(), single_call) {
            (true, _) => Vec::new(),
            (false, true) => vec![Requests::new(requests)?],
            (false, false) => requests
                .into_iter()
                .map(|request| Requests::new(vec![request]))
                .collect::<Result<_>>()?,
        };
        Ok(Printer {
            plugin,
            output,
            payload,
            calls,
            labels,
            text: Vec::new(),
        })
    }

    /// Appends what stands above the first event.
    pub fn header(&self, out: &mut Vec<u8>) {
        if self.output != Output::Tsv {
            return;
        }
        out.extend(b"time");
        for label in &self.labels {
            out.push(b'\t');
            out.extend(label);
        }
        if self.calls.is_empty() {
            out.extend(b"\ttext");
        }
        if self.payload {
            out.extend(b"\tpayload");
        }
        out.push(b'\n');
    }

    /// Appends the line of `event`. A field whose extraction fails is printed as if it had no value.
    pub fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Failures {
        self.time(event, out);
        let mut failures = Failures {
            calls: 0,
            reason: None,
        };
        if self.calls.is_empty() {
            self.summary(event, out);
        }
        let mut place = 0;
        for call in &mut self.calls {
            let count = call.as_slice().len();
            match self.plugin.extract(event, call, false) {
                Ok(values) => {
                    for i in 0..count {
                        field(self.output, &self.labels[place + i], values.field(i), out);
                    }
                }
                Err(error) => {
                    failures.calls += 1;
                    failures.reason = Some(error);
                    for i in 0..count {
                        absent(self.output, &self.labels[place + i], out);
                    }
                }
            }
            place += count;
        }
        if self.payload {
            self.record(event, out);
        }
        if self.output == Output::Json {
            out.push(b'}');
        }
        out.push(b'\n');
        failures
    }

    /// Extracts as [`Printer::event`] does but prints nothing.
    pub fn extract_only(&mut self, event: Event<'_>) -> Failures {
        let mut failures = Failures {
            calls: 0,
            reason: None,
        };
        for call in &mut self.calls {
            if let Err(error) = self.plugin.extract(event, call, false) {
                failures.calls += 1;
                failures.reason = Some(error);
            }
        }
        failures
    }

    fn time(&self, event: Event<'_>, out: &mut Vec<u8>) {
        match self.output {
            Output::Text | Output::Tsv => clock::write_utc(out, event.ts()),
            Output::Json => {
                out.extend(br#"{"time":""#);
                clock::write_utc(out, event.ts());
                out.push(b'"');
            }
        }
    }

    fn summary(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        self.text.clear();
        let there = self.plugin.append_event_text(event, &mut self.text);
        match (self.output, there) {
            (Output::Text, true) => {
                out.push(b' ');
                escape::plain(out, &self.text);
            }
            (Output::Text, false) => {}
            (Output::Json, true) => {
                out.extend(br#","text":"#);
                escape::json_string(out, &self.text);
            }
            (Output::Json, false) => out.extend(br#","text":null"#),
            (Output::Tsv, true) => {
                out.push(b'\t');
                escape::column(out, &self.text);
            }
            (Output::Tsv, false) => out.extend(br"	\N"),
        }
    }

    fn record(&self, event: Event<'_>, out: &mut Vec<u8>) {
        match self.output {
            Output::Text => {
                out.push(b' ');
                escape::plain(out, event.payload());
            }
            Output::Json => {
                out.extend(br#","payload":"#);
                escape::json_record(out, event.payload());
            }
            Output::Tsv => {
                out.push(b'\t');
                escape::column(out, event.payload());
            }
        }
    }
}

fn label(output: Output, spec: &str) -> Vec<u8> {
    let mut label = Vec::new();
    match output {
        Output::Text => {
            label.push(b' ');
            escape::plain(&mut label, spec.as_bytes());
            label.push(b'=');
        }
        Output::Json => {
            label.push(b',');
            escape::json_string(&mut label, spec.as_bytes());
            label.push(b':');
        }
        Output::Tsv => escape::column(&mut label, spec.as_bytes()),
    }
    label
}

fn field(output: Output, label: &[u8], values: FieldValues<'_>, out: &mut Vec<u8>) {
    if values.len() == 0 {
        return absent(output, label, out);
    }
    let (open, close): (&[u8], &[u8]) = match (output, values.is_list()) {
        (_, false) | (Output::Tsv, true) => (b"", b""),
        (Output::Text, true) => (b"(", b")"),
        (Output::Json, true) => (b"[", b"]"),
    };
    match output {
        Output::Text | Output::Json => out.extend_from_slice(label),
        Output::Tsv => out.push(b'\t'),
    }
    out.extend_from_slice(open);
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        scalar(output, value, out);
    }
    out.extend_from_slice(close);
}

fn absent(output: Output, label: &[u8], out: &mut Vec<u8>) {
    match output {
        Output::Text => {}
        Output::Json => {
            out.extend_from_slice(label);
            out.extend_from_slice(b"null");
        }
        Output::Tsv => out.extend_from_slice(br"	\N"),
    }
}

fn scalar(output: Output, value: ValueRef<'_>, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail.
    match value {
        ValueRef::Str(text) => match output {
            Output::Text => escape::word(out, text),
            Output::Json => escape::json_string(out, text),
            Output::Tsv => escape::column(out, text),
        },
        ValueRef::U64(number) => {
            let _ = write!(out, "{number}");
        }
        ValueRef::Bool(yes) => out.extend_from_slice(if yes { b"true" } else { b"false" }),
        ValueRef::Bytes(bytes) => {
            let quote: &[u8] = if output == Output::Json { b"\"" } else { b"" };
            out.extend_from_slice(quote);
            address(bytes, out);
            out.extend_from_slice(quote);
        }
    }
}

/// An IP address in its usual form, anything else in hex.
fn address(bytes: &[u8], out: &mut Vec<u8>) {
    let _ = if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        write!(out, "{}", Ipv4Addr::from(v4))
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        write!(out, "{}", Ipv6Addr::from(v6))
    } else {
        bytes.iter().try_for_each(|b| write!(out, "{b:02x}"))
    };
}
