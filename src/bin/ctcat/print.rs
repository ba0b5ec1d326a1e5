//! Formats an event as a line of text, JSON or TSV.
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use cloudtrail::error::{Error, Result};
use cloudtrail::host::{Event, FieldValues, Plugin, Request, Requests, ValueRef};

use crate::args::OutputFormat;
use crate::clock;
use crate::escape;
use crate::event_line::EventLine;

/// Extracts fields and formats events. Does not allocate per event.
pub struct Printer<'p> {
    plugin: &'p Plugin,
    format: OutputFormat,
    payload: bool,
    /// One set of requests per extraction call.
    calls: Vec<Requests>,
    /// Field names in the form that precedes a value, or the column's name for TSV.
    labels: Vec<Vec<u8>>,
    /// Formats lines for people that have no requested fields.
    line: Option<EventLine>,
    /// The plugin's one-line text of the current event.
    text: Vec<u8>,
}

/// Failed extraction calls for one event.
#[derive(Default)]
pub struct Failures {
    /// Number of failed calls.
    pub calls: u64,
    /// Error of the last failed call.
    pub reason: Option<Error>,
}

impl<'p> Printer<'p> {
    /// Prints the fields `requests` in this order. Extracts them in one call if `single_call`, else in one call each.
    pub fn new(
        plugin: &'p Plugin,
        format: OutputFormat,
        payload: bool,
        requests: Vec<Request>,
        single_call: bool,
    ) -> Result<Printer<'p>> {
        let labels = requests.iter().map(|r| label(format, r.spec())).collect();
        let calls = match (requests.is_empty(), single_call) {
            (true, _) => Vec::new(),
            (false, true) => vec![Requests::new(requests)?],
            (false, false) => requests
                .into_iter()
                .map(|request| Requests::new(vec![request]))
                .collect::<Result<_>>()?,
        };
        let line = (calls.is_empty() && format == OutputFormat::Text)
            .then(|| EventLine::new(plugin, !payload))
            .flatten();
        Ok(Printer {
            plugin,
            format,
            payload,
            calls,
            labels,
            line,
            text: Vec::new(),
        })
    }

    /// Appends the header of a TSV table.
    pub fn header(&self, out: &mut Vec<u8>) {
        if self.format != OutputFormat::Tsv {
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

    /// Appends the line of `event`. A field whose extraction fails is printed as a field without a value.
    pub fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Failures {
        let mut failures = Failures::default();
        if let Some(line) = &mut self.line {
            if let Err(error) = line.write(self.plugin, event, out) {
                failures.calls += 1;
                failures.reason = Some(error);
            }
        } else {
            self.time(event, out);
            if self.calls.is_empty() {
                self.summary(event, out);
            }
        }
        let mut labels = &self.labels[..];
        for call in &mut self.calls {
            let (own, others) = labels.split_at(call.as_slice().len());
            labels = others;
            match self.plugin.extract(event, call, false) {
                Ok(values) => {
                    for (i, label) in own.iter().enumerate() {
                        field(self.format, label, values.field(i), out);
                    }
                }
                Err(error) => {
                    failures.calls += 1;
                    failures.reason = Some(error);
                    for label in own {
                        absent(self.format, label, out);
                    }
                }
            }
        }
        if self.payload {
            self.record(event, out);
        }
        if self.format == OutputFormat::Json {
            out.push(b'}');
        }
        out.push(b'\n');
        failures
    }

    /// Extracts the fields as [`Printer::event`] does, without formatting.
    pub fn extract_only(&mut self, event: Event<'_>) -> Failures {
        let mut failures = Failures::default();
        for call in &mut self.calls {
            if let Err(error) = self.plugin.extract(event, call, false) {
                failures.calls += 1;
                failures.reason = Some(error);
            }
        }
        failures
    }

    fn time(&self, event: Event<'_>, out: &mut Vec<u8>) {
        match self.format {
            OutputFormat::Text | OutputFormat::Tsv => clock::write_utc(out, event.ts()),
            OutputFormat::Json => {
                out.extend(br#"{"time":""#);
                clock::write_utc(out, event.ts());
                out.push(b'"');
            }
        }
    }

    fn summary(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        self.text.clear();
        let has_text = self.plugin.append_event_text(event, &mut self.text);
        match (self.format, has_text) {
            (OutputFormat::Text, true) => {
                out.push(b' ');
                escape::plain(out, &self.text);
            }
            (OutputFormat::Text, false) => {}
            (OutputFormat::Json, true) => {
                out.extend(br#","text":"#);
                escape::json_string(out, &self.text);
            }
            (OutputFormat::Json, false) => out.extend(br#","text":null"#),
            (OutputFormat::Tsv, true) => {
                out.push(b'\t');
                escape::column(out, &self.text);
            }
            (OutputFormat::Tsv, false) => out.extend(br"	\N"),
        }
    }

    fn record(&self, event: Event<'_>, out: &mut Vec<u8>) {
        match self.format {
            OutputFormat::Text => {
                out.push(b' ');
                escape::plain(out, event.payload());
            }
            OutputFormat::Json => {
                out.extend(br#","payload":"#);
                escape::json_record(out, event.payload());
            }
            OutputFormat::Tsv => {
                out.push(b'\t');
                escape::column(out, event.payload());
            }
        }
    }
}

fn label(format: OutputFormat, spec: &str) -> Vec<u8> {
    let mut label = Vec::new();
    match format {
        OutputFormat::Text => {
            label.push(b' ');
            escape::plain(&mut label, spec.as_bytes());
            label.push(b'=');
        }
        OutputFormat::Json => {
            label.push(b',');
            escape::json_string(&mut label, spec.as_bytes());
            label.push(b':');
        }
        OutputFormat::Tsv => escape::column(&mut label, spec.as_bytes()),
    }
    label
}

fn field(format: OutputFormat, label: &[u8], values: FieldValues<'_>, out: &mut Vec<u8>) {
    if values.len() == 0 {
        return absent(format, label, out);
    }
    let (open, close): (&[u8], &[u8]) = match (format, values.is_list()) {
        (_, false) | (OutputFormat::Tsv, true) => (b"", b""),
        (OutputFormat::Text, true) => (b"(", b")"),
        (OutputFormat::Json, true) => (b"[", b"]"),
    };
    match format {
        OutputFormat::Text | OutputFormat::Json => out.extend_from_slice(label),
        OutputFormat::Tsv => out.push(b'\t'),
    }
    out.extend_from_slice(open);
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        scalar(format, value, out);
    }
    out.extend_from_slice(close);
}

fn absent(format: OutputFormat, label: &[u8], out: &mut Vec<u8>) {
    match format {
        OutputFormat::Text => {}
        OutputFormat::Json => {
            out.extend_from_slice(label);
            out.extend_from_slice(b"null");
        }
        OutputFormat::Tsv => out.extend_from_slice(br"	\N"),
    }
}

fn scalar(format: OutputFormat, value: ValueRef<'_>, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail.
    match value {
        ValueRef::Str(text) => match format {
            OutputFormat::Text => escape::word(out, text),
            OutputFormat::Json => escape::json_string(out, text),
            OutputFormat::Tsv => escape::column(out, text),
        },
        ValueRef::U64(number) => {
            let _ = write!(out, "{number}");
        }
        ValueRef::Bool(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        ValueRef::Bytes(bytes) => {
            let quote: &[u8] = match format {
                OutputFormat::Json => b"\"",
                OutputFormat::Text | OutputFormat::Tsv => b"",
            };
            out.extend_from_slice(quote);
            address(bytes, out);
            out.extend_from_slice(quote);
        }
    }
}

/// Appends an IP address, or anything else in hexadecimal.
fn address(bytes: &[u8], out: &mut Vec<u8>) {
    let _ = if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        write!(out, "{}", Ipv4Addr::from(v4))
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        write!(out, "{}", Ipv6Addr::from(v6))
    } else {
        bytes.iter().try_for_each(|b| write!(out, "{b:02x}"))
    };
}
