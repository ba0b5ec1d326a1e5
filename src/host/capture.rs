//! An open event source: batches of events, checked and completed as libscap does.

use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ptr::null_mut;
use std::slice;
use std::time::{SystemTime, UNIX_EPOCH};

use falco_plugin_api as api;

use super::broken;
use super::event::Event;
use super::plugin::Plugin;
use super::symbols::text;
use crate::error::{Error, ErrorKind, Result};
use crate::event_layout::{HEADER, PLUGIN_EVENT, PLUGIN_ID_AT, PREFIX};

/// How a batch ended. The events that came with it are to be handled first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is more.
    Success,
    /// Nothing more for now: ask again.
    Timeout,
    /// The source is at its end.
    Eof,
}

/// An open event source of a plugin; dropping it closes it.
pub struct Capture<'p> {
    plugin: &'p Plugin,
    instance: *mut api::ss_instance_t,
    delivered: u64,
    /// What the next call reports, because events stood before it.
    pending: Option<Error>,
}

/// What the number of events holds before a call, to notice a plugin that does not set it.
const UNSET: u32 = 0xa5a5_a5a5;

impl<'p> Capture<'p> {
    pub(super) fn new(plugin: &'p Plugin, instance: *mut api::ss_instance_t) -> Capture<'p> {
        Capture {
            plugin,
            instance,
            delivered: 0,
            pending: None,
        }
    }

    /// Asks the plugin for events. As in the real host, they come first and the status counts after them: a batch
    /// with events that ends in a failure is delivered as [`Status::Success`], and the failure is the next answer.
    ///
    /// Errors: the plugin reports a failure, in its own words; success without any event; an event that is no
    /// plugin event of this plugin.
    pub fn next_batch(&mut self) -> Result<(Status, Events<'_>)> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let Some(next_batch) = self.plugin.symbols.api.__bindgen_anon_1.next_batch else {
            return Err(self.plugin.symbols.lacks("has no event source"));
        };
        let (mut count, mut list) = (UNSET, null_mut());
        // SAFETY: state and instance are alive as `self` and its plugin are; the events of the batch before cannot be in
        // use, because they borrow from `self`.
        let rc = unsafe { next_batch(self.plugin.state, self.instance, &mut count, &mut list) };
        if count == UNSET {
            return Err(broken("the plugin left the number of events unset"));
        }
        if count > 0 && list.is_null() {
            return Err(broken(format!("the plugin gave NULL for {count} events")));
        }
        let mut status = match rc {
            api::ss_plugin_rc_SS_PLUGIN_SUCCESS if count == 0 => {
                return Err(broken(
                    "the plugin reported success without any event; Falco ends on that",
                ));
            }
            api::ss_plugin_rc_SS_PLUGIN_SUCCESS => Status::Success,
            api::ss_plugin_rc_SS_PLUGIN_TIMEOUT => Status::Timeout,
            api::ss_plugin_rc_SS_PLUGIN_EOF => Status::Eof,
            _ => {
                let error = Error::new(ErrorKind::Plugin, self.plugin.last_error_or(rc));
                if count == 0 {
                    return Err(error);
                }
                self.pending = Some(error);
                Status::Success
            }
        };
        for place in 0..count {
            // SAFETY: the plugin gave an array of `count` pointers, by the API's contract; not NULL as checked above.
            let event = unsafe { *list.add(place as usize) };
            // SAFETY: each pointer leads to an event that the host may write to until the next batch, by the API's contract.
            if let Err(error) = unsafe { complete(event, self.plugin.info().id) } {
                if place == 0 {
                    return Err(error);
                }
                self.pending = Some(error);
                status = Status::Success;
                count = place;
                break;
            }
        }
        let first = self.delivered;
        self.delivered += u64::from(count);
        Ok((
            status,
            Events {
                list,
                left: count as usize,
                number: first,
                capture: PhantomData,
            },
        ))
    }

    /// How much of the source was read, from 0.0 to 1.0, and the plugin's words for it. `(0.0, "")` if the plugin
    /// does not say.
    pub fn progress(&self) -> (f64, String) {
        let Some(progress) = self.plugin.symbols.api.__bindgen_anon_1.get_progress else {
            return (0.0, String::new());
        };
        let mut hundredths = 0;
        // SAFETY: state and instance are alive; the text is copied before any other call can replace it.
        let words = unsafe { text(progress(self.plugin.state, self.instance, &mut hundredths)) };
        (f64::from(hundredths) / 10_000.0, words.unwrap_or_default())
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        self.plugin.close(self.instance);
    }
}

/// The events of one batch, in order. They live until the next one is asked for.
#[derive(Clone)]
pub struct Events<'c> {
    /// `left` pointers to events that were checked by `complete`.
    list: *mut *mut api::ss_plugin_event,
    left: usize,
    /// The number of the event before.
    number: u64,
    capture: PhantomData<&'c [u8]>,
}

impl<'c> Iterator for Events<'c> {
    type Item = Event<'c>;

    #[inline]
    fn next(&mut self) -> Option<Event<'c>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        self.number += 1;
        // SAFETY: `left` pointers stand from here on; `complete` saw that this one is not NULL and that the length in the
        // header covers the header. The memory stays until the next batch, which `'c` prevents.
        let bytes = unsafe {
            let event = *self.list;
            self.list = self.list.add(1);
            let length = (&raw const (*event).len).read_unaligned();
            slice::from_raw_parts(event.cast::<u8>().cast_const(), length as usize)
        };
        Some(Event::new(bytes, self.number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Events<'_> {}
impl FusedIterator for Events<'_> {}

/// Checks one event of the plugin `id` and writes into it what libscap writes: no thread, the plugin's id where
/// there is none, and now where there is no time.
///
/// # Safety
/// `event` must be NULL or lead to an event as long as its header says, which may be written to.
unsafe fn complete(event: *mut api::ss_plugin_event, id: u32) -> Result<()> {
    if event.is_null() {
        return Err(broken("the plugin gave a NULL event"));
    }
    // SAFETY: not NULL as checked above; the rest is this function's contract. Nothing is aligned.
    let (header, bytes) = unsafe { (event.read_unaligned(), event.cast::<u8>()) };
    let (length, kind, parameters) = (header.len as usize, header.type_, header.nparams);
    if length < HEADER {
        return Err(broken(format!(
            "the plugin gave an event of {length} bytes"
        )));
    }
    // A plugin without an id may pass on events of any type.
    if id != 0 {
        if kind != PLUGIN_EVENT || parameters != 2 || length < PREFIX {
            return Err(broken(format!(
                "the plugin gave an event of type {kind} with {parameters} parameters in {length} bytes; plugin events have type {PLUGIN_EVENT} and 2"
            )));
        }
        let number = |at: usize| {
            // SAFETY: inside the event, which is at least PREFIX bytes long as checked above.
            unsafe { bytes.add(at).cast::<u32>().read_unaligned() }
        };
        let (id_length, payload_length) = (number(HEADER), number(HEADER + 4));
        if id_length != 4 || payload_length as usize != length - PREFIX {
            return Err(broken(format!(
                "the plugin gave an event of {length} bytes whose parameters have {id_length} and {payload_length}"
            )));
        }
        match number(PLUGIN_ID_AT) {
            0 => {
                // SAFETY: as for reading; the host may write.
                unsafe { bytes.add(PLUGIN_ID_AT).cast::<u32>().write_unaligned(id) };
            }
            own if own == id => {}
            foreign => {
                return Err(broken(format!(
                    "the plugin has the id {id} but gave an event of {foreign}"
                )));
            }
        }
    }
    // SAFETY: the header is there, and the host may write.
    unsafe {
        (&raw mut (*event).tid).write_unaligned(u64::MAX);
        if header.ts == u64::MAX {
            (&raw mut (*event).ts).write_unaligned(now());
        }
    }
    Ok(())
}

/// ns since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
