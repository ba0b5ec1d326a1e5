//! An open event source. Its events are checked and completed as libscap does.

use std::ffi::CString;
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

/// Result of a `next_batch` call. Process the batch's events before you act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// More events follow.
    Success,
    /// No more events for now; call again.
    Timeout,
    /// The source has ended.
    Eof,
}

/// An open event source of a plugin; dropping it closes it.
pub struct Capture<'p> {
    plugin: &'p Plugin,
    instance: *mut api::ss_instance_t,
    delivered: u64,
    /// Error to return from the next call, because this call returned the events before it.
    pending: Option<Error>,
}

/// Fill pattern for the event count, to detect a plugin that does not set it.
const UNSET: u32 = 0xa5a5_a5a5;

impl Plugin {
    /// Opens the event source.
    ///
    /// # Errors
    /// The plugin has no event source, or cannot open `params` (the message is the plugin's).
    pub fn open(&self, params: &str) -> Result<Capture<'_>> {
        let Some(open) = self.symbols.api.__bindgen_anon_1.open else {
            return Err(self.symbols.lacks("has no event source to open"));
        };
        let params = CString::new(params)
            .map_err(|_| Error::new(ErrorKind::OpenParams, "the open parameters contain a NUL"))?;
        let mut rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;
        // SAFETY: the state is alive, and `params` and `rc` outlive the call.
        let instance = unsafe { open(self.state, params.as_ptr(), &mut rc) };
        if rc != api::ss_plugin_rc_SS_PLUGIN_SUCCESS {
            let error = Error::new(ErrorKind::OpenParams, self.last_error_or(rc));
            if !instance.is_null() {
                self.close(instance);
            }
            return Err(error);
        }
        Ok(Capture {
            plugin: self,
            instance,
            delivered: 0,
            pending: None,
        })
    }
}

impl Capture<'_> {
    /// Gets the next batch from the plugin. Events take precedence over a failure, as in Falco: a batch with
    /// events that ends in a failure returns [`Status::Success`], and the next call returns the failure.
    ///
    /// # Errors
    /// The plugin reports a failure (the message is the plugin's), reports success without any event, or returns
    /// an event that is not a plugin event of its own.
    pub fn next_batch(&mut self) -> Result<(Status, Events<'_>)> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let Some(next_batch) = self.plugin.symbols.api.__bindgen_anon_1.next_batch else {
            return Err(self.plugin.symbols.lacks("has no event source"));
        };
        let (mut count, mut list) = (UNSET, null_mut());
        // SAFETY: `self` and its plugin keep state and instance alive. Events of the previous batch, which the
        // plugin may overwrite, are no longer in use, because they borrow `self`.
        let rc = unsafe { next_batch(self.plugin.state, self.instance, &mut count, &mut list) };
        if count == UNSET {
            return Err(broken("the plugin left the number of events unset"));
        }
        if count > 0 && list.is_null() {
            return Err(broken(format!(
                "the plugin returned NULL for {count} events"
            )));
        }
        let mut status = match rc {
            api::ss_plugin_rc_SS_PLUGIN_SUCCESS if count == 0 => {
                return Err(broken(
                    "the plugin reported success without any event, which makes Falco exit",
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
        for index in 0..count {
            // SAFETY: by the API's contract `list` is an array of `count` pointers; NULL was excluded above.
            let event = unsafe { *list.add(index as usize) };
            // SAFETY: by the API's contract each pointer is an event that the host may write until the next batch.
            if let Err(error) = unsafe { complete(event, self.plugin.info().id) } {
                if index == 0 {
                    return Err(error);
                }
                self.pending = Some(error);
                status = Status::Success;
                count = index;
                break;
            }
        }
        let first = self.delivered;
        self.delivered += u64::from(count);
        Ok((
            status,
            Events {
                list,
                remaining: count as usize,
                number: first,
                capture: PhantomData,
            },
        ))
    }

    /// Share of the source that was read, from 0.0 to 1.0, and the plugin's text for it. `(0.0, "")` if the plugin
    /// does not report progress.
    pub fn progress(&self) -> (f64, String) {
        let Some(progress) = self.plugin.symbols.api.__bindgen_anon_1.get_progress else {
            return (0.0, String::new());
        };
        let mut hundredths = 0;
        // SAFETY: state and instance are alive; the text is copied before another call can replace it.
        let description =
            unsafe { text(progress(self.plugin.state, self.instance, &mut hundredths)) };
        let share = f64::from(hundredths) / 10_000.0;
        (share, description.unwrap_or_default())
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        self.plugin.close(self.instance);
    }
}

/// The events of one batch, in order. They are valid until the next batch.
#[derive(Clone)]
pub struct Events<'c> {
    /// `remaining` pointers to events that `complete` has checked.
    list: *mut *mut api::ss_plugin_event,
    remaining: usize,
    /// Number of the previous event.
    number: u64,
    capture: PhantomData<&'c [u8]>,
}

impl<'c> Iterator for Events<'c> {
    type Item = Event<'c>;

    #[inline]
    fn next(&mut self) -> Option<Event<'c>> {
        if self.remaining == 0 {
            return None;
        }
        self.remaining -= 1;
        self.number += 1;
        // SAFETY: `list` has at least one more pointer, as checked above. `complete` has checked that it is not NULL
        // and that the length in the event's header covers the header. The memory is valid until the next batch,
        // which cannot be requested while `'c` borrows the capture.
        let bytes = unsafe {
            let event = *self.list;
            self.list = self.list.add(1);
            let length = (&raw const (*event).len).read_unaligned();
            slice::from_raw_parts(event.cast::<u8>().cast_const(), length as usize)
        };
        Some(Event::new(bytes, self.number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Events<'_> {}
impl FusedIterator for Events<'_> {}

/// Checks one event of the plugin `id` and fills it in as libscap does: no thread id, the plugin's id if it is 0,
/// and the current time if the event has none.
///
/// # Safety
/// `event` must be NULL or point to a writable event of the length that its header declares.
unsafe fn complete(event: *mut api::ss_plugin_event, id: u32) -> Result<()> {
    if event.is_null() {
        return Err(broken("the plugin returned a NULL event"));
    }
    // SAFETY: not NULL as checked above; valid by this function's contract. The reads assume no alignment.
    let (header, bytes) = unsafe { (event.read_unaligned(), event.cast::<u8>()) };
    let (length, event_type, parameters) = (header.len as usize, header.type_, header.nparams);
    if length < HEADER {
        return Err(broken(format!(
            "the plugin returned an event of {length} bytes; a header alone has {HEADER}"
        )));
    }
    // A plugin without an id may pass on events of any type.
    if id != 0 {
        if event_type != PLUGIN_EVENT || parameters != 2 || length < PREFIX {
            return Err(broken(format!(
                "the plugin returned an event of type {event_type} with {parameters} parameters in {length} bytes; plugin events have type {PLUGIN_EVENT} and 2 parameters"
            )));
        }
        let u32_at = |at: usize| {
            // SAFETY: the callers pass offsets below PREFIX, and the event has at least PREFIX bytes as checked above.
            unsafe { bytes.add(at).cast::<u32>().read_unaligned() }
        };
        let (id_length, payload_length) = (u32_at(HEADER), u32_at(HEADER + 4));
        if id_length != 4 || payload_length as usize != length - PREFIX {
            return Err(broken(format!(
                "the plugin returned an event of {length} bytes with parameters of {id_length} and {payload_length} bytes"
            )));
        }
        match u32_at(PLUGIN_ID_AT) {
            0 => {
                // SAFETY: inside the event, as for `u32_at`; writable by this function's contract.
                unsafe { bytes.add(PLUGIN_ID_AT).cast::<u32>().write_unaligned(id) };
            }
            event_id if event_id == id => {}
            event_id => {
                return Err(broken(format!(
                    "the plugin has id {id} but returned an event with plugin id {event_id}"
                )));
            }
        }
    }
    // SAFETY: the event has a header as checked above; writable by this function's contract.
    unsafe {
        (&raw mut (*event).tid).write_unaligned(u64::MAX);
        if header.ts == u64::MAX {
            (&raw mut (*event).ts).write_unaligned(now());
        }
    }
    Ok(())
}

/// Current time, in nanoseconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_nanos() as u64)
}
