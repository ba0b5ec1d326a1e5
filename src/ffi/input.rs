//! Host memory that the exports receive, as types with safe methods. Constructing them is where the host's promises are
//! relied on.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::{ptr, slice};

use falco_plugin_api as api;

use crate::event_layout::{self, HEADER, PREFIX};
use crate::extract::{Argument, ExtractedField, ExtractedValue};
use crate::fields::{Arg, FIELDS};

/// An event in memory of the host, or of a live batch.
#[derive(Clone, Copy)]
pub(super) struct HostEvent<'call> {
    address: *const u8,
    memory: PhantomData<&'call [u8]>,
}

impl<'call> HostEvent<'call> {
    /// # Safety
    /// `address` is NULL or that of an event, which is readable and not written to during `'call`: the header, and as many
    /// bytes as it declares.
    pub(super) unsafe fn new(address: *const u8) -> Self {
        HostEvent {
            address,
            memory: PhantomData,
        }
    }

    pub(super) fn address(self) -> *const u8 {
        self.address
    }

    /// The payload; `None` if this is not a plugin event.
    pub(super) fn payload(self) -> Option<&'call [u8]> {
        if self.address.is_null() {
            return None;
        }
        // SAFETY: the header of an event must be readable: `new` requires it, and the address is not NULL (checked above).
        // Bytes have no alignment.
        let header = unsafe { slice::from_raw_parts(self.address, HEADER) };
        if event_layout::total_len(header)? < PREFIX {
            return None;
        }
        // SAFETY: `PREFIX` bytes must be readable: the header declares at least as many (checked above), and `new` requires
        // that those are.
        let prefix = unsafe { &*self.address.cast::<[u8; PREFIX]>() };
        let len = event_layout::payload_len(prefix)?;
        // SAFETY: `PREFIX + len` bytes must be readable: `payload_len` returns a length only if the header declares that sum,
        // and `new` requires that as many are.
        Some(unsafe { slice::from_raw_parts(self.address.add(PREFIX), len) })
    }
}

/// A field that the host extracts, and the memory for its result.
#[repr(transparent)]
pub(super) struct FieldRequest(api::ss_plugin_extract_field);

impl FieldRequest {
    /// The requests of one call.
    ///
    /// # Safety
    /// If `len` is not 0, `fields` points to as many fields, to which only this slice refers during `'call`. A key
    /// argument is NULL or a C string that is not changed during `'call`.
    pub(super) unsafe fn slice<'call>(
        fields: *mut api::ss_plugin_extract_field,
        len: u32,
    ) -> &'call mut [FieldRequest] {
        if len == 0 || fields.is_null() {
            return &mut [];
        }
        // SAFETY: `len` fields must be valid and not aliased: the caller's promise. `FieldRequest` is transparent, so it has
        // the layout of the field.
        unsafe { slice::from_raw_parts_mut(fields.cast::<FieldRequest>(), len as usize) }
    }

    /// The field's number.
    #[inline]
    pub(super) fn number(&self) -> usize {
        self.0.field_id as usize
    }

    /// The argument, of the kind that the field takes. `None` if it is invalid or the field does not exist.
    #[inline]
    pub(super) fn argument(&self) -> Option<Argument<'_>> {
        if self.0.arg_present == 0 {
            return Some(Argument::None);
        }
        match FIELDS.get(self.number())?.arg {
            Arg::None => Some(Argument::None),
            Arg::OptionalIndex => Some(Argument::Index(self.0.arg_index)),
            Arg::RequiredKey if self.0.arg_key.is_null() => None,
            Arg::RequiredKey => {
                // SAFETY: the key must be a C string that stays unchanged: `slice` requires it of keys that are not NULL, which
                // the arm above excludes.
                let key = unsafe { CStr::from_ptr(self.0.arg_key) };
                key.to_str().ok().map(Argument::Key)
            }
        }
    }

    /// Points the host to the values, or to none.
    #[inline]
    pub(super) fn set_result(&mut self, extracted: Option<&ExtractedField>) {
        self.0.res_len = match extracted.map(ExtractedField::value) {
            None | Some(ExtractedValue::None) => 0,
            Some(ExtractedValue::Text(text)) => {
                self.0.res.str_ = ptr::from_ref(text).cast_mut();
                1
            }
            Some(ExtractedValue::Number(number)) => {
                self.0.res.u64_ = ptr::from_ref(number).cast_mut();
                1
            }
            Some(ExtractedValue::List(texts)) => {
                self.0.res.str_ = texts.as_ptr().cast_mut();
                texts.len() as u64
            }
        };
    }
}

/// Copies a text of the host, with U+FFFD for invalid UTF-8. Empty for NULL.
///
/// # Safety
/// `text` is NULL or a C string that is not changed during the call.
pub(super) unsafe fn host_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: `text` must be a C string: the caller's promise, as it is not NULL (checked above).
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
