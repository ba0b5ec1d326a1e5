//! Each text that the plugin returns stays unchanged until the same call is made again, whatever else is called.
//! Under valgrind, reading a freed text is an error even if its bytes are unchanged.

use std::ffi::c_char;

use cloudtrail::host::OwnedEvent;
use falco_plugin_api as api;

use crate::process::{self, memory};
use crate::raw::{Raw, text};
use crate::support;
use crate::support::scratch::{Scratch, gzip, plain_log};

/// Calls that return texts, and some that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Extract,
    EventToString,
    GetProgress,
    GetLastError,
    FailingOpen,
    GetMetrics,
    FixedTexts,
    NextBatch,
}

use Call::*;

const CALLS: [Call; 8] = [
    Extract,
    EventToString,
    GetProgress,
    GetLastError,
    FailingOpen,
    GetMetrics,
    FixedTexts,
    NextBatch,
];

struct Host {
    raw: Raw,
    opened: *mut api::ss_instance_t,
    detached: OwnedEvent,
    id: u32,
    info: u32,
    value: u32,
}

impl Host {
    fn new(scratch: &Scratch) -> Host {
        let raw = Raw::load(&support::library(), c"{}");
        let opened = raw.open(scratch.path().to_str().expect("UTF-8"));
        assert!(!opened.is_null(), "{}", text(raw.last_error()));
        let [id, info, value] = ["ct.id", "ct.info", "ct.value"].map(|name| raw.field(name));
        Host {
            opened,
            detached: OwnedEvent::new(
                2,
                1,
                br#"{"eventID":"detached","eventName":"Other","eventTime":"2026-01-14T08:50:00Z"}"#,
            ),
            id,
            info,
            value,
            raw,
        }
    }

    fn detached(&self) -> *const api::ss_plugin_event {
        self.detached.as_event().as_bytes().as_ptr().cast()
    }

    /// Three values of an event: a precomputed one, a composed one, and one with an argument.
    fn values(&self, event: *const api::ss_plugin_event) -> Vec<*const c_char> {
        let key = c"/eventName";
        self.raw.extract(
            event,
            &[(self.id, None), (self.info, None), (self.value, Some(key))],
        )
    }

    /// Makes a call about events other than the one whose texts are compared: a detached one, and `other` of the current
    /// batch if there is one.
    fn call(&mut self, call: Call, other: &mut Option<*mut api::ss_plugin_event>) {
        let events = [Some(self.detached()), other.map(<*mut _>::cast_const)];
        match call {
            Extract => events.into_iter().flatten().for_each(|event| {
                self.values(event);
            }),
            EventToString => events.into_iter().flatten().for_each(|event| {
                assert!(!self.raw.event_to_string(event).is_null());
            }),
            GetProgress => assert!(!self.raw.progress(self.opened).is_null()),
            GetLastError => assert!(!self.raw.last_error().is_null()),
            FailingOpen => assert!(self.raw.open("/no/such/folder/at/all").is_null()),
            GetMetrics => assert!(self.raw.metric("events") > 0),
            FixedTexts => self.raw.fixed_texts(),
            NextBatch => {
                *other = None;
                for _ in 0..3 {
                    *other = self.raw.next_batch(self.opened).last().copied();
                }
            }
        }
    }
}

fn scratch(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    for number in 0..20 {
        let log = plain_log(&format!("{number}-"), 1000);
        scratch.write(&format!("{number}.json.gz"), &gzip(&log));
    }
    scratch
}

/// Gets texts with `take`, makes every call except `own` in both orders, and compares the texts after each.
fn stays(
    name: &str,
    own: &[Call],
    take: impl Fn(&Host, *const api::ss_plugin_event) -> Vec<*const c_char>,
) {
    let _lock = process::lock();
    let scratch = scratch(name);
    let mut orders = [CALLS, CALLS];
    orders[1].reverse();
    for order in orders {
        let mut host = Host::new(&scratch);
        // Enough batches for the requested fields to be precomputed.
        for _ in 0..4 {
            for event in host.raw.next_batch(host.opened) {
                host.values(event);
            }
        }
        let events = host.raw.next_batch(host.opened);
        let mut other = events.last().copied();
        let texts = take(&host, events[0]);
        let expected: Vec<_> = texts.iter().map(|&at| text(at)).collect();
        assert!(expected.iter().all(|text| !text.is_empty()), "{expected:?}");
        for call in order.into_iter().filter(|call| !own.contains(call)) {
            host.call(call, &mut other);
            let now: Vec<_> = texts.iter().map(|&at| text(at)).collect();
            assert_eq!(now, expected, "after {call:?}");
        }
        host.raw.close(host.opened);
        // The progress text belongs to the closed instance.
        if own != [GetProgress] {
            let now: Vec<_> = texts.iter().map(|&at| text(at)).collect();
            assert_eq!(now, expected, "after close");
        }
    }
}

#[test]
fn extracted_values_stay_valid() {
    stays("texts-values", &[Extract], |host, event| host.values(event));
}

#[test]
fn extracted_values_of_a_detached_event_stay_valid() {
    stays("texts-detached", &[Extract], |host, _| {
        host.values(host.detached())
    });
}

#[test]
fn event_text_stays_valid() {
    stays("texts-event", &[EventToString], |host, event| {
        host.values(event);
        vec![host.raw.event_to_string(event)]
    });
}

#[test]
fn progress_text_stays_valid() {
    stays("texts-progress", &[GetProgress], |host, _| {
        vec![host.raw.progress(host.opened)]
    });
}

#[test]
fn error_text_stays_valid() {
    stays("texts-error", &[GetLastError], |host, _| {
        assert!(host.raw.open("/nothing/here").is_null());
        vec![host.raw.last_error()]
    });
}

/// The plugin keeps the batch of the last extracted event, and copies the event before it releases the batch.
#[test]
fn event_of_a_closed_source_is_copied_before_its_batch_is_released() {
    let _lock = process::lock();
    let scratch = scratch("texts-closed");
    let host = Host::new(&scratch);
    let event = host.raw.next_batch(host.opened)[0];
    let expected = text(host.values(event)[0]);
    host.raw.close(host.opened);
    assert_eq!(text(host.values(event)[0]), expected);
}

#[test]
fn closing_over_and_over_without_a_state_releases_every_batch() {
    let _lock = process::lock();
    let scratch = scratch("texts-null");
    let mut used = Vec::new();
    let raw = Raw::load(&support::library(), c"{}");
    for round in 0..300 {
        let opened = raw.open(scratch.path().to_str().expect("UTF-8"));
        assert!(!raw.next_batch(opened).is_empty());
        raw.close_without_state(opened);
        assert_eq!(raw.metric("buffered_bytes"), 0, "in round {round}");
        used.push(memory());
    }
    assert!(used[299] < used[20] + (64 << 10), "KiB: {used:?}");
}
