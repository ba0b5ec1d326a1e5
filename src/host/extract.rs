//! A call of `extract_fields`: its results, checked before they are read.

use std::ffi::CStr;
use std::ptr::{null_mut, slice_from_raw_parts};
use std::slice;

use falco_plugin_api as api;

use super::event::Event;
use super::fields::FieldType;
use super::plugin::Plugin;
use super::request::{Request, Requests, UNSET};
use super::value::{OwnedValue, ValueRef};
use super::{broken, tables};
use crate::error::{Error, ErrorKind, Result};

/// An owned copy of one field's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// `None` if the event has no value for the field.
    pub value: Option<OwnedValue>,
    /// Offset range (start from the event's first byte, length) of each value, or of the whole field if one call
    /// extracted several fields. Empty if offsets were not requested, the plugin provides none, or there is no
    /// value.
    pub offsets: Vec<(u32, u32)>,
}

/// The results of one call, in the plugin's memory. [`Plugin::extract`] fails while they exist, because another
/// call would overwrite them.
pub struct ExtractedFields<'a> {
    plugin: &'a Plugin,
    requests: &'a mut Requests,
    offsets: api::ss_plugin_extract_value_offsets,
}

impl Plugin {
    /// Extracts all of `requests` in one call; Falco extracts one field per call. `offsets` also requests the
    /// position of each value within the event.
    ///
    /// # Errors
    /// The plugin reports a failure or violates the API (leaves a result unset, returns several values for a field
    /// that is not a list); `requests` belong to another plugin; or the [`ExtractedFields`] of an earlier call still
    /// exist.
    pub fn extract<'a>(
        &'a self,
        event: Event<'a>,
        requests: &'a mut Requests,
        offsets: bool,
    ) -> Result<ExtractedFields<'a>> {
        let Some(extract_fields) = self.symbols.api.__bindgen_anon_2.extract_fields else {
            return Err(self.symbols.lacks("cannot extract fields"));
        };
        if !requests.belong_to(&self.fields) {
            return Err(broken("the requested fields belong to another plugin"));
        }
        if self.values_in_use.replace(true) {
            return Err(broken(
                "the values of the previous extraction are still in use",
            ));
        }
        let mut values = ExtractedFields {
            plugin: self,
            requests,
            offsets: api::ss_plugin_extract_value_offsets {
                start: null_mut(),
                length: null_mut(),
            },
        };
        values.requests.reset_results();
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
        // SAFETY: `self` keeps the state alive, and `Event` is an event of its declared length. The arrays that `input`
        // points to are owned by `values`. `values_in_use` was false, so that no earlier results are being read.
        let rc = unsafe { extract_fields(self.state, &event, &input) };
        if rc != api::ss_plugin_rc_SS_PLUGIN_SUCCESS {
            return Err(Error::new(ErrorKind::Plugin, self.last_error_or(rc)));
        }
        for (request, raw) in values.requests.as_slice().iter().zip(&values.requests.raw) {
            check(request, raw)?;
        }
        Ok(values)
    }

    /// Extracts all of `requests` in one call and copies the results. For callers that need no speed.
    ///
    /// # Errors
    /// As [`Plugin::extract`].
    pub fn extract_values(
        &self,
        event: Event<'_>,
        requests: &[&Request],
        offsets: bool,
    ) -> Result<Vec<Extracted>> {
        let mut requests = Requests::new(requests.iter().map(|r| (*r).clone()).collect())?;
        let values = self.extract(event, &mut requests, offsets)?;
        Ok((0..values.len())
            .map(|index| Extracted {
                value: values.field(index).to_value(),
                offsets: values.offsets(index).collect(),
            })
            .collect())
    }
}

impl ExtractedFields<'_> {
    /// Number of requested fields, at least one.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.requests.raw.len()
    }

    /// The values of the field at `index` in the requests.
    ///
    /// # Panics
    /// If `index` is not below [`ExtractedFields::len`].
    pub fn field(&self, index: usize) -> FieldValues<'_> {
        FieldValues {
            raw: &self.requests.raw[index],
            field_type: self.requests.as_slice()[index].field().field_type,
            next: 0,
        }
    }

    /// Offset ranges of the field at `index`: start within the event and length. A length of 0 means that the value
    /// is computed. The API has one range per value if one field was requested, else one per field. Empty if the
    /// plugin provides none.
    ///
    /// # Panics
    /// If `index` is not below [`ExtractedFields::len`].
    pub fn offsets(&self, index: usize) -> Offsets<'_> {
        let raw = &self.requests.raw[index];
        let (start, length) = (self.offsets.start, self.offsets.length);
        if start.is_null() || length.is_null() || raw.res_len == 0 {
            return Offsets {
                pairs: [].iter().zip(&[]),
            };
        }
        let (first, count) = match self.requests.raw.len() {
            1 => (0, raw.res_len as usize),
            _ => (index, 1),
        };
        // SAFETY: not NULL as checked above. By the API's contract the arrays have one entry per value for one
        // requested field, else one per field, and are valid until the next extraction, which `values_in_use`
        // prevents while `self` exists.
        let pairs = unsafe {
            let start = slice::from_raw_parts(start.add(first), count);
            let length = slice::from_raw_parts(length.add(first), count);
            start.iter().zip(length)
        };
        Offsets { pairs }
    }
}

impl Drop for ExtractedFields<'_> {
    fn drop(&mut self) {
        self.plugin.values_in_use.set(false);
    }
}

/// Iterator over the values of one field for one event. Empty if the event has no value for the field.
#[derive(Clone, Copy)]
pub struct FieldValues<'v> {
    /// Has passed `check`.
    raw: &'v api::ss_plugin_extract_field,
    field_type: FieldType,
    next: u64,
}

impl FieldValues<'_> {
    /// Whether the field is a list. A list may have a single value.
    pub fn is_list(&self) -> bool {
        self.raw.flist != 0
    }

    /// A copy of the remaining values; `None` if there are none.
    pub fn to_value(self) -> Option<OwnedValue> {
        if self.len() == 0 {
            return None;
        }
        let is_list = self.is_list();
        let is_text = self.field_type == FieldType::String;
        let mut values = self.map(OwnedValue::from);
        if !is_list {
            return values.next();
        }
        if !is_text {
            return Some(OwnedValue::List(values.collect()));
        }
        let texts = values.filter_map(|value| match value {
            OwnedValue::Str(text) => Some(text),
            _ => None,
        });
        Some(OwnedValue::StrList(texts.collect()))
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
        // SAFETY: `check` has seen that `res` is set and that no string or buffer in it is NULL; `at` is below `res_len`;
        // the union's member is the one of the requested type. The memory is valid until the next extraction,
        // which the `ExtractedFields` borrowed for `'v` prevent.
        Some(unsafe {
            match self.field_type {
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
        let remaining = (self.raw.res_len - self.next) as usize;
        (remaining, Some(remaining))
    }
}

impl ExactSizeIterator for FieldValues<'_> {}

/// Iterator over offset ranges: start within the event and length.
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

/// Checks that a result can be read.
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
            "the plugin returned {} values for {spec}, which is not a list",
            raw.res_len
        )));
    }
    let count = raw.res_len as usize;
    // SAFETY: all members of the union are pointers; only the address is used here.
    let address = unsafe { raw.res.u64_ };
    let is_set = !address.is_null() && address.addr() != UNSET as usize;
    // SAFETY: by the API's contract the array has `res_len` elements of the requested type.
    let all_present = is_set
        && unsafe {
            match request.field().field_type {
                FieldType::String => (0..count).all(|i| !(*raw.res.str_.add(i)).is_null()),
                FieldType::IpAddr | FieldType::IpNet => {
                    (0..count).all(|i| !(*raw.res.buf.add(i)).ptr.is_null())
                }
                _ => true,
            }
        };
    if all_present {
        Ok(())
    } else {
        Err(broken(format!(
            "the plugin returned a NULL value for {spec}"
        )))
    }
}
