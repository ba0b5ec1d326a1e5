//! `ctcat summary`: what an investigator looks at first, on one screen.
//!
//! | File | Content |
//! |---|---|
//! | `tally` | the most frequent values of a field |
//! | `timeline` | events over time |
//! | `report` | both as text or JSON |
#![forbid(unsafe_code)]

mod report;
mod tally;
mod timeline;

use cloudtrail::host::{Event, Plugin, Requests, Status, ValueRef};

use self::report::Report;
use self::tally::Tally;
use self::timeline::Timeline;
use crate::args::{self, SummaryArgs};
use crate::terminal::ProgressDisplay;
use crate::{Stop, handle_interrupts, interrupt, load};

/// Fields that are shown without `--by`.
const DEFAULT_FIELDS: [&str; 6] = [
    "ct.user",
    "ct.shortsrc",
    "ct.name",
    "ct.error",
    "ct.srcip",
    "ct.region",
];

/// Field that distinguishes reads and changes.
const READ_ONLY: &str = "ct.readonly";

/// Field that failed calls have.
const ERROR: &str = "ct.error";

/// Runs `ctcat summary`.
pub fn summary(args: SummaryArgs) -> Result<(), Stop> {
    let mut progress = ProgressDisplay::new(false);
    let plugin = load(&args.plugin, &progress)?;
    let mut summary = Summary::new(&plugin, &args)?;
    handle_interrupts()?;
    let mut result = Ok(());
    for source in &args.sources {
        result = summary.read(source, &mut progress);
        if result.is_err() || summary.remaining == 0 {
            break;
        }
    }
    progress.clear();
    // After Ctrl-C too: a queue ends in no other way.
    if summary.events > 0 || !matches!(result, Err(Stop::Error(_))) {
        summary.report().print(args.output, args.top)?;
    }
    result
}

/// What was counted so far.
struct Summary<'p> {
    plugin: &'p Plugin,
    events: u64,
    changes: u64,
    reads: u64,
    failed: u64,
    timeline: Timeline,
    fields: Vec<FieldTally>,
    /// Only counted if the plugin has the field.
    read_only: Option<Requests>,
    error: Option<Requests>,
    /// Number of events left to read.
    remaining: u64,
}

/// A field and its values.
struct FieldTally {
    name: String,
    request: Requests,
    values: Tally,
    /// Events without a value.
    absent: u64,
}

impl<'p> Summary<'p> {
    fn new(plugin: &'p Plugin, args: &SummaryArgs) -> Result<Summary<'p>, Stop> {
        let mut specs = args::field_specs(&args.by);
        if specs.is_empty() {
            specs.extend(DEFAULT_FIELDS);
        }
        let fields = specs.into_iter().map(|spec| {
            let request = plugin
                .request(spec)
                .map_err(|e| Stop::Usage(format!("{e}; `ctcat fields` lists them")))?;
            Ok(FieldTally {
                name: spec.to_owned(),
                request: Requests::new(vec![request])?,
                values: Tally::default(),
                absent: 0,
            })
        });
        let optional = |name| {
            let request = plugin.request(name).ok()?;
            Requests::new(vec![request]).ok()
        };
        Ok(Summary {
            plugin,
            events: 0,
            changes: 0,
            reads: 0,
            failed: 0,
            timeline: Timeline::new(),
            fields: fields.collect::<Result<_, Stop>>()?,
            read_only: optional(READ_ONLY),
            error: optional(ERROR),
            remaining: args.max_events.unwrap_or(u64::MAX),
        })
    }

    fn read(&mut self, source: &str, progress: &mut ProgressDisplay) -> Result<(), Stop> {
        let mut capture = self.plugin.open(source)?;
        loop {
            if interrupt::is_requested() {
                return Err(Stop::Interrupted);
            }
            let (status, events) = capture.next_batch()?;
            for event in events {
                if self.remaining == 0 {
                    return Ok(());
                }
                self.remaining -= 1;
                self.add(event)?;
            }
            if status == Status::Eof {
                return Ok(());
            }
            progress.update(&capture, self.events);
        }
    }

    fn add(&mut self, event: Event<'_>) -> Result<(), Stop> {
        self.events += 1;
        self.timeline.add(event.ts());
        for field in &mut self.fields {
            let extracted = self.plugin.extract(event, &mut field.request, false)?;
            let values = extracted.field(0);
            if values.len() == 0 {
                field.absent += 1;
            }
            for value in values {
                match value {
                    ValueRef::Str(text) | ValueRef::Bytes(text) => field.values.add(text),
                    ValueRef::U64(number) => field.values.add(number.to_string().as_bytes()),
                    ValueRef::Bool(flag) => field.values.add(flag.to_string().as_bytes()),
                }
            }
        }
        if let Some(request) = &mut self.read_only {
            let extracted = self.plugin.extract(event, request, false)?;
            match extracted.field(0).next() {
                Some(ValueRef::Str(b"true")) => self.reads += 1,
                Some(ValueRef::Str(b"false")) => self.changes += 1,
                _ => {}
            }
        }
        if let Some(request) = &mut self.error {
            let extracted = self.plugin.extract(event, request, false)?;
            self.failed += u64::from(extracted.field(0).len() > 0);
        }
        Ok(())
    }

    fn report(&self) -> Report<'_> {
        Report {
            events: self.events,
            kinds: [
                ("reads", self.read_only.as_ref().map(|_| self.reads)),
                ("changes", self.read_only.as_ref().map(|_| self.changes)),
                ("failed", self.error.as_ref().map(|_| self.failed)),
            ],
            timeline: &self.timeline,
            fields: self
                .fields
                .iter()
                .map(|field| (field.name.as_str(), &field.values, field.absent))
                .collect(),
        }
    }
}
