//! One call of `extract_fields`: how its results are checked and read.

use std::ffi::CStr;
use std::ptr::{null_mut, slice_from_raw_parts};
use std::slice;

use falco_plugin_api as api;

use super::event::Event;
use super::fields::FieldType;
use super::plugin::Plugin;
use super::request::{Request, Requests, UNSET};
use super::value::{Value, ValueRef};
use super::{broken, tables};
use crate::error::{Error, ErrorKind, Result};

/// What one field gave, copied out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// `None` if the event has no value for the field.
    pub value: Option<Value>,
    /// Start (counted from the event's first byte) and length of each value in the event, or of the field where
    /// several fields were asked for at once. Empty if offsets were not asked for, if the plugin does not give
    /// any, or if there is no value.
    pub offsets: Vec<(u32, u32)>,
}

/// The results of one call, in the plugin's memory. As long as it lives, the plugin refuses further extractions,
/// because they would overwrite it.
pub struct Values<'a> {
    plugin: &'a Plugin,
    requests: &'a mut Requests,
    offsets: api::ss_plugin_extract_value_offsets,
}

impl Plugin {
    /// Calls the plugin's `extract_fields` once with all of `requests`; Falco does it with one at a time.
    /// With `offsets` the plugin is also asked where in the event the values stand.
    ///
    /// Errors: the plugin reports a failure or breaks the API (a result left unset, several values for a field that
    /// is no list); `requests` belong to another plugin; or the [`Values`] of an earlier call are still alive.
    pub fn extract<'a>(
        &'a self,
        event: Event<'a>,
        requests: &'a mut Requests,
        offsets: bool,
    ) -> Result<Values<'a>> {
        let Some(extract_fields) = self.symbols.api.__bindgen_anon_2.extract_fields else {
            return Err(self.symbols.lacks("cannot extract fields"));
        };
        if !requests.belong_to(&self.fields) {
            return Err(broken("these fields belong to another plugin"));
        }
        if self.values_in_use.replace(true) {
            return Err(broken("the values of the last extraction are still in use"));
        }
        let mut values = Values {
            plugin: self,
            requests,
            offsets: api::ss_plugin_extract_value_offsets {
                start: null_mut(),
                length: null_mut(),
            },
        };
        values.requests.forget_results();
        let event = self.event_input(event);
        let input = api::ss_plugin_field_extract_input {
            owner: self.owner(),
            get_owner_last_error: Some(tables::last_error),
            num_fields: values.requests.raw.len() as u32,
            fields: values.requests.raw.as_mut_ptr(),
            table_reader: tables::reader(),
            table_reader_ext: tables::reader_ext(),
            value_offsets: if offsets {
                &raw mut values.offsets
            } else {
                null_mut()
            },
        };
        // SAFETY: the state is alive as `self` is, the event as `Event` guarantees, and the arrays behind `input` live in
        // `values`; `values_in_use` rules out that results of an earlier call are still being read.
        let rc = unsafe { extract_fields(self.state, &event, &input) };
        if rc != api::ss_plugin_rc_SS_PLUGIN_SUCCESS {
            return Err(Error::new(ErrorKind::Plugin, self.last_error_or(rc)));
        }
        for (request, raw) in values.requests.as_slice().iter().zip(&values.requests.raw) {
            check(request, raw)?;
        }
        Ok(values)
    }

    /// One call for all of `requests`, its results copied out: [`Plugin::extract`] where speed does not matter.
    pub fn extract_values(
        &self,
        event: Event<'_>,
        requests: &[&Request],
        offsets: bool,
    ) -> Result<Vec<Extracted>> {
        let mut requests = Requests::new(requests.iter().map(|r| (*r).clone()).collect())?;
        let values = self.extract(event, &mut requests, offsets)?;
        Ok((0..values.len())
            .map(|place| Extracted {
                value: values.field(place).to_value(),
                offsets: values.offsets(place).collect(),
            })
            .collect())
    }
}

impl Values<'_> {
    /// The number of fields that were asked for, at least one.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.requests.raw.len()
    }

    /// The values of the field at `place` in the requests.
    ///
    /// # Panics
    /// If `place` is not below [`Values::len`].
    pub fn field(&self, place: usize) -> FieldValues<'_> {
        FieldValues {
            raw: &self.requests.raw[place],
            kind: self.requests.as_slice()[place].field().kind,
            next: 0,
        }
    }

    /// Where the values of the field at `place` stand in the event: start and length; a length of 0 says that the
    /// value was computed. One pair per value if one field was asked for, one pair per field otherwise. Empty if
    /// the plugin gave none.
    ///
    /// # Panics
    /// If `place` is not below [`Values::len`].
    pub fn offsets(&self, place: usize) -> Offsets<'_> {
        let raw = &self.requests.raw[place];
        let (start, length) = (self.offsets.start, self.offsets.length);
        if start.is_null() || length.is_null() || raw.res_len == 0 {
            return Offsets {
                pairs: [].iter().zip(&[]),
            };
        }
        let (first, count) = match self.requests.raw.len() {
            1 => (0, raw.res_len as usize),
            _ => (place, 1),
        };
        // SAFETY: not NULL as checked above; the API gives them one entry per value for one field, else one per field;
        // they stay until the next extraction, which `values_in_use` prevents while `self` lives.
        let pairs = unsafe {
            let start = slice::from_raw_parts(start.add(first), count);
            let length = slice::from_raw_parts(length.add(first), count);
            start.iter().zip(length)
        };
        Offsets { pairs }
    }
}

impl Drop for Values<'_> {
    fn drop(&mut self) {
        self.plugin.values_in_use.set(false);
    }
}

/// The values of one field for one event, read as an iterator. None: the event has no value for the field.
#[derive(Clone, Copy)]
pub struct FieldValues<'v> {
    /// Checked by `check`.
    raw: &'v api::ss_plugin_extract_field,
    kind: FieldType,
    next: u64,
}

impl FieldValues<'_> {
    /// The field may have any number of values, so a single one is a list too.
    pub fn is_list(&self) -> bool {
        self.raw.flist != 0
    }

    /// A copy of what is left; `None` if that is nothing.
    pub fn to_value(self) -> Option<Value> {
        if self.len() == 0 {
            return None;
        }
        let is_list = self.is_list();
        let is_text = self.kind == FieldType::String;
        let mut values = self.map(Value::from);
        if !is_list {
            return values.next();
        }
        if !is_text {
            return Some(Value::List(values.collect()));
        }
        let texts = values.filter_map(|value| match value {
            Value::Str(text) => Some(text),
            _ => None,
        });
        Some(Value::StrList(texts.collect()))
    }
}

impl<'v> Iterator for FieldValues<'v> {
    type Item = ValueRef<'v>;

    #[inline]
    fn next(&mut self) -> Option<ValueRef<'v>> {
        if self.next >= self.raw.res_len {
            return None;
        }
        let at = self.next as usize;
        self.next += 1;
        let res = &self.raw.res;
        // SAFETY: `check` saw that `res` is set and no string or buffer in it is NULL, `at` is below `res_len`, and the
        // type is the one that was asked for. The memory stays until the next extraction, which the `Values`
        // behind `'v` prevents.
        Some(unsafe {
            match self.kind {
                FieldType::String => ValueRef::Str(CStr::from_ptr(*res.str_.add(at)).to_bytes()),
                FieldType::Uint64 | FieldType::RelTime | FieldType::AbsTime => {
                    ValueRef::U64(*res.u64_.add(at))
                }
                FieldType::Bool => ValueRef::Bool(*res.boolean.add(at) != 0),
                FieldType::IpAddr | FieldType::IpNet => {
                    let buffer = *res.buf.add(at);
                    ValueRef::Bytes(&*slice_from_raw_parts(
                        buffer.ptr.cast(),
                        buffer.len as usize,
                    ))
                }
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.raw.res_len - self.next) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for FieldValues<'_> {}

/// Start and length of values in an event.
#[derive(Clone)]
pub struct Offsets<'v> {
    pairs: std::iter::Zip<slice::Iter<'v, u32>, slice::Iter<'v, u32>>,
}

impl Iterator for Offsets<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        self.pairs.next().map(|(start, length)| (*start, *length))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pairs.size_hint()
    }
}

impl ExactSizeIterator for Offsets<'_> {}

/// Whether a result can be read at all.
fn check(request: &Request, raw: &api::ss_plugin_extract_field) -> Result<()> {
    let spec = request.spec();
    if raw.res_len == UNSET {
        return Err(broken(format!(
            "the plugin left the result of {spec} unset"
        )));
    }
    if raw.res_len == 0 {
        return Ok(());
    }
    if raw.res_len > 1 && !request.field().is_list {
        return Err(broken(format!(
            "the plugin gave {} values for {spec}, which is no list",
            raw.res_len
        )));
    }
    let count = raw.res_len as usize;
    // SAFETY: all members of the union are pointers; this looks at the address alone.
    let address = unsafe { raw.res.u64_ };
    let is_set = !address.is_null() && address.addr() != UNSET as usize;
    // SAFETY: the array has `res_len` elements of the type that was asked for, by the API's contract.
    let all_there = is_set
        && unsafe {
            match request.field().kind {
                FieldType::String => (0..count).all(|i| !(*raw.res.str_.add(i)).is_null()),
                FieldType::IpAddr | FieldType::IpNet => {
                    (0..count).all(|i| !(*raw.res.buf.add(i)).ptr.is_null())
                }
                _ => true,
            }
        };
    if all_there {
        Ok(())
    } else {
        Err(broken(format!("the plugin gave a NULL value for {spec}")))
    }
}
