//! Requests for fields: name and argument, and their form in a C call.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::ptr::{null, without_provenance_mut};
use std::sync::Arc;

use falco_plugin_api as api;

use super::broken;
use super::fields::Field;
use crate::error::{Error, ErrorKind, Result};

/// Fill pattern for a result's length, to detect a plugin that does not set it. Falco would read whatever the
/// memory contained.
pub(super) const UNSET: u64 = 0xa5a5_a5a5_a5a5_a5a5;

/// A field and its argument, parsed by [`Plugin::request`](super::Plugin::request). Valid only for that plugin.
#[derive(Clone, Debug)]
pub struct Request {
    /// The plugin's list of fields. Its address identifies the plugin.
    pub(super) fields: Arc<[Field]>,
    field_index: usize,
    spec: String,
    name: CString,
    key: Option<CString>,
    index: u64,
    has_argument: bool,
}

impl Request {
    /// Parses `name`, `name[0]` or `name[key]`. The argument ends at the last bracket.
    pub(super) fn parse(fields: &Arc<[Field]>, spec: &str) -> Result<Request> {
        let reject = |reason: String| Error::new(ErrorKind::Field, reason);
        let (name, argument) = match spec.split_once('[') {
            None => (spec, None),
            Some((name, rest)) => match rest.strip_suffix(']') {
                Some(argument) => (name, Some(argument)),
                None => return Err(reject(format!("field {spec:?} does not end with `]`"))),
            },
        };
        let Some(field_index) = fields.iter().position(|f| f.name == name) else {
            return Err(reject(unknown(fields, name)));
        };
        let field = &fields[field_index];
        let (mut key, mut index) = (None, 0);
        match (argument, field.arg) {
            (None, Some(arg)) if arg.is_required => {
                let example = if arg.is_index { "0" } else { "…" };
                return Err(reject(format!(
                    "field {name} needs an argument: {name}[{example}]"
                )));
            }
            (None, _) => {}
            (Some(_), None) => {
                return Err(reject(format!(
                    "field {name} takes no argument, but {spec:?} has one"
                )));
            }
            (Some(text), Some(arg)) if arg.is_key => {
                key = Some(
                    CString::new(text)
                        .map_err(|_| reject(format!("the argument of {spec:?} contains a NUL")))?,
                );
            }
            (Some(text), Some(_)) => {
                index = text.parse().map_err(|_| {
                    reject(format!(
                        "field {name} takes a number as its argument, not {text:?}"
                    ))
                })?;
            }
        }
        Ok(Request {
            fields: Arc::clone(fields),
            field_index,
            spec: spec.to_owned(),
            name: CString::new(name).map_err(|_| reject(unknown(fields, name)))?,
            key,
            index,
            has_argument: argument.is_some(),
        })
    }

    /// The requested field.
    pub fn field(&self) -> &Field {
        &self.fields[self.field_index]
    }

    /// The text that the request was parsed from, such as `name[0]`.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The request as an argument of a call. Its pointers are valid as long as the request, even if that moves.
    fn raw(&self) -> api::ss_plugin_extract_field {
        let field = self.field();
        api::ss_plugin_extract_field {
            res: unset(),
            res_len: UNSET,
            field_id: field.id,
            field: self.name.as_ptr(),
            arg_key: self.key.as_ref().map_or(null(), |key| key.as_ptr()),
            arg_index: self.index,
            arg_present: self.has_argument.into(),
            ftype: field.field_type.code(),
            flist: field.is_list.into(),
        }
    }
}

/// The requests of one extraction call and the memory for its arguments and results, so that calls do not allocate.
///
/// Falco requests one field per call: use a set of one to see what Falco sees.
pub struct Requests {
    requests: Vec<Request>,
    pub(super) raw: Vec<api::ss_plugin_extract_field>,
}

impl Requests {
    /// A set of `requests`.
    ///
    /// # Errors
    /// `requests` is empty or belongs to several plugins.
    pub fn new(requests: Vec<Request>) -> Result<Requests> {
        let Some(first) = requests.first() else {
            return Err(broken("an extraction needs at least one field"));
        };
        if requests
            .iter()
            .any(|r| !Arc::ptr_eq(&r.fields, &first.fields))
        {
            return Err(broken("the requested fields belong to different plugins"));
        }
        let raw = requests.iter().map(Request::raw).collect();
        Ok(Requests { requests, raw })
    }

    /// The requests, in order.
    pub fn as_slice(&self) -> &[Request] {
        &self.requests
    }

    /// Whether all requests were parsed by the plugin that owns `fields`.
    pub(super) fn belong_to(&self, fields: &Arc<[Field]>) -> bool {
        self.requests
            .first()
            .is_some_and(|r| Arc::ptr_eq(&r.fields, fields))
    }

    /// Overwrites the results of the last call with the fill pattern.
    pub(super) fn reset_results(&mut self) {
        for raw in &mut self.raw {
            raw.res = unset();
            raw.res_len = UNSET;
        }
    }
}

fn unset() -> api::ss_plugin_extract_field__bindgen_ty_1 {
    api::ss_plugin_extract_field__bindgen_ty_1 {
        u64_: without_provenance_mut(UNSET as usize),
    }
}

fn unknown(fields: &[Field], name: &str) -> String {
    let nearest = fields
        .iter()
        .map(|f| (strsim::jaro_winkler(&f.name, name), &f.name))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => format!("the plugin has no field {name:?}; the nearest is {nearest}"),
        None => format!("the plugin has no field {name:?}"),
    }
}
