//! Selects the event of a call, and extracts the fields that the host requests.
#![forbid(unsafe_code)]

use std::ffi::c_char;
use std::sync::Arc;
use std::{ptr, slice};

use falco_plugin_api as api;

use super::input::{FieldRequest, HostEvent};
use super::live_batches::LiveBatches;
use crate::extract::field_usage::FieldUsage;
use crate::extract::{ExtractedField, Extractor};

/// State of extraction.
pub(super) struct Extraction {
    /// For fields. The host uses their values until the next extraction.
    fields: EventExtractor,
    /// For event lines, if the event is another one than that of `fields`.
    lines: EventExtractor,
    /// Offset ranges of the last call, as the host reads them.
    starts: Vec<u32>,
    lengths: Vec<u32>,
}

/// An extractor with the address of its event.
struct EventExtractor {
    extractor: Extractor,
    /// Address of the selected event if it is live, and [`LiveBatches::epoch`] when it was selected.
    live: Option<(*const u8, u64)>,
}

impl Extraction {
    /// Updates `usage` with the fields that the host extracts.
    pub(super) fn new(usage: Arc<FieldUsage>) -> Self {
        let with = |extractor| EventExtractor {
            extractor,
            live: None,
        };
        Extraction {
            fields: with(Extractor::new(usage)),
            lines: with(Extractor::default()),
            starts: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// The event in one line; NULL if it cannot be read. Does not change values that were extracted.
    pub(super) fn event_line(
        &mut self,
        batches: &LiveBatches,
        event: HostEvent<'_>,
    ) -> *const c_char {
        let selected = match self.fields.is_selected(batches, event) {
            true => &mut self.fields,
            false => {
                self.lines.select(batches, event);
                &mut self.lines
            }
        };
        selected.extractor.summary().unwrap_or(ptr::null())
    }

    /// Extracts `requests` from `event`. Writes `offsets` if the host passes them: for one field a pair for each value, for
    /// several fields a pair for each field.
    #[inline]
    pub(super) fn extract(
        &mut self,
        batches: &LiveBatches,
        event: HostEvent<'_>,
        requests: &mut [FieldRequest],
        offsets: Option<&mut api::ss_plugin_extract_value_offsets>,
    ) {
        self.fields.select(batches, event);
        let Extraction {
            fields: EventExtractor { extractor, .. },
            starts,
            lengths,
            ..
        } = self;
        let single = requests.len() == 1;
        let located = offsets.is_some();
        if located {
            starts.clear();
            lengths.clear();
        }
        extractor.start_call();
        for request in requests {
            let extracted = request
                .argument()
                .and_then(|argument| extractor.extract(request.number(), argument, located));
            request.set_result(extracted);
            if located {
                let ranges = extracted.map_or(&[][..], ExtractedField::offset_ranges);
                let pairs = match (single, ranges) {
                    (true, ranges) => ranges,
                    (false, [range]) => slice::from_ref(range),
                    (false, _) => &[(0, 0)],
                };
                starts.extend(pairs.iter().map(|(start, _)| start));
                lengths.extend(pairs.iter().map(|(_, length)| length));
            }
        }
        if let Some(offsets) = offsets {
            offsets.start = starts.as_mut_ptr();
            offsets.length = lengths.as_mut_ptr();
        }
    }
}

impl EventExtractor {
    /// Selects `event`.
    ///
    /// An event is live if its address is that of one in a live batch: no other memory can be there. Event numbers and
    /// contents do not identify it, because hosts repeat and copy them.
    #[inline]
    fn select(&mut self, batches: &LiveBatches, event: HostEvent<'_>) {
        let (address, epoch) = (event.address(), batches.epoch());
        if self.live == Some((address, epoch)) {
            return;
        }
        // The same epoch means that the extractor's batch is still live.
        let same = self.live.is_some_and(|(_, last)| last == epoch);
        if same && self.extractor.select_neighbor(address) {
            self.live = Some((address, epoch));
            return;
        }
        if let Some((batch, number)) = batches.find(address) {
            self.live = Some((address, epoch));
            self.extractor.select_live(batch, number);
            return;
        }
        self.live = None;
        match event.payload() {
            Some(payload) => self.extractor.select_detached(payload),
            None => self.extractor.select_none(),
        }
    }

    /// Whether `event`, or a detached one with the same payload, is selected.
    fn is_selected(&self, batches: &LiveBatches, event: HostEvent<'_>) -> bool {
        if self.live == Some((event.address(), batches.epoch())) {
            return true;
        }
        let payload = event.payload();
        payload.is_some_and(|payload| self.extractor.is_detached(payload))
    }
}
