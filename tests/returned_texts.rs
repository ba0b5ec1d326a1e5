//! Each text that the plugin returns stays as it is until the call that returned it is made again, whatever is called
//! meanwhile. Under valgrind, a text that was freed is an error even if it still reads the same.

mod oracle;
mod raw;
mod support;

use std::ffi::c_char;
use std::fs;

use cloudtrail::host::OwnedEvent;
use falco_plugin_api as api;
use raw::{Raw, text};
use support::scratch::{Scratch, gzip, plain_log};

/// The calls that return texts, and some that do other things.
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

    /// Texts of an event: one that is precomputed after a while, one that is made, one with an argument.
    fn values(&self, event: *const api::ss_plugin_event) -> Vec<*const c_char> {
        let key = c"/eventName";
        self.raw.extract(
            event,
            &[(self.id, None), (self.info, None), (self.value, Some(key))],
        )
    }

    /// Makes a call about another event than the one that texts are of. The event of the batch is asked about as long as
    /// there is one.
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

/// Takes texts with `take`, makes every call but `own`, in this order and the other way round, and finds the texts as they
/// were.
fn stays(
    name: &str,
    own: &[Call],
    take: impl Fn(&Host, *const api::ss_plugin_event) -> Vec<*const c_char>,
) {
    let scratch = scratch(name);
    let mut orders = [CALLS, CALLS];
    orders[1].reverse();
    for order in orders {
        let mut host = Host::new(&scratch);
        // Enough of them that what is asked for becomes precomputed.
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
        // Progress is the instance's.
        if own != [GetProgress] {
            let now: Vec<_> = texts.iter().map(|&at| text(at)).collect();
            assert_eq!(now, expected, "after close");
        }
    }
}

#[test]
fn extracted_values_stay() {
    stays("texts-values", &[Extract], |host, event| host.values(event));
}

#[test]
fn extracted_values_of_a_detached_event_stay() {
    stays("texts-detached", &[Extract], |host, _| {
        host.values(host.detached())
    });
}

#[test]
fn event_text_stays() {
    stays("texts-event", &[EventToString], |host, event| {
        host.values(event);
        vec![host.raw.event_to_string(event)]
    });
}

#[test]
fn progress_text_stays() {
    stays("texts-progress", &[GetProgress], |host, _| {
        vec![host.raw.progress(host.opened)]
    });
}

#[test]
fn error_text_stays() {
    stays("texts-error", &[GetLastError], |host, _| {
        assert!(host.raw.open("/nothing/here").is_null());
        vec![host.raw.last_error()]
    });
}

/// The batch of the event that was asked about last is kept; the next question copies the event before it lets go of it.
#[test]
fn event_of_a_closed_source_is_copied_before_its_batch_goes() {
    let scratch = scratch("texts-closed");
    let host = Host::new(&scratch);
    let event = host.raw.next_batch(host.opened)[0];
    let expected = text(host.values(event)[0]);
    host.raw.close(host.opened);
    assert_eq!(text(host.values(event)[0]), expected);
}

#[test]
fn closing_over_and_over_without_a_state_keeps_no_batch() {
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

/// Memory that this process has in use, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let used = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let used = used.and_then(|used| used.trim().strip_suffix(" kB"));
    used.expect("its memory").parse().expect("a number")
}
