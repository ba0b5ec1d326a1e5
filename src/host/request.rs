//! Fields as they are asked for: a name, an argument, and the C form of both.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::ptr::{null, without_provenance_mut};
use std::sync::Arc;

use falco_plugin_api as api;

use super::broken;
use super::fields::Field;
use crate::error::{Error, ErrorKind, Result};

/// What the result's length holds before a call. A plugin that leaves it in place did not answer; the real host
/// would take whatever happened to stand there.
pub(super) const UNSET: u64 = 0xa5a5_a5a5_a5a5_a5a5;

/// One field with its argument, as [`Plugin::request`](super::Plugin::request) understood it. Valid for the plugin
/// that made it only.
#[derive(Clone, Debug)]
pub struct Request {
    /// The very list of the plugin that it was made by: its identity.
    pub(super) fields: Arc<[Field]>,
    place: usize,
    spec: String,
    name: CString,
    key: Option<CString>,
    index: u64,
    has_argument: bool,
}

impl Request {
    /// Understands `ct.name`, `ec2.imageids[0]` and `ct.value[/a/b]`. The argument reaches to the last bracket.
    pub(super) fn parse(fields: &Arc<[Field]>, spec: &str) -> Result<Request> {
        let refuse = |why: String| Error::new(ErrorKind::Field, why);
        let (name, argument) = match spec.split_once('[') {
            None => (spec, None),
            Some((name, rest)) => match rest.strip_suffix(']') {
                Some(argument) => (name, Some(argument)),
                None => return Err(refuse(format!("field {spec:?} does not end with `]`"))),
            },
        };
        let Some(place) = fields.iter().position(|f| f.name == name) else {
            return Err(refuse(unknown(fields, name)));
        };
        let field = &fields[place];
        let (mut key, mut index) = (None, 0);
        match (argument, field.arg) {
            (None, Some(arg)) if arg.is_required => {
                let example = if arg.is_index { "0" } else { "…" };
                return Err(refuse(format!(
                    "field {name} needs an argument: {name}[{example}]"
                )));
            }
            (None, _) => {}
            (Some(_), None) => {
                return Err(refuse(format!(
                    "field {name} takes no argument, {spec:?} gives one"
                )));
            }
            (Some(text), Some(arg)) if arg.is_key => {
                key = Some(
                    CString::new(text)
                        .map_err(|_| refuse(format!("the argument of {spec:?} holds a NUL")))?,
                );
            }
            (Some(text), Some(_)) => {
                index = text.parse().map_err(|_| {
                    refuse(format!(
                        "field {name} takes a number as argument, {text:?} is none"
                    ))
                })?;
            }
        }
        Ok(Request {
            fields: Arc::clone(fields),
            place,
            spec: spec.to_owned(),
            name: CString::new(name).map_err(|_| refuse(unknown(fields, name)))?,
            key,
            index,
            has_argument: argument.is_some(),
        })
    }

    /// The field that is asked for.
    pub fn field(&self) -> &Field {
        &self.fields[self.place]
    }

    /// The text that it was made from, e.g. `ec2.imageids[0]`.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The pointers in it stay valid as long as the request lives, wherever it is moved.
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
            ftype: field.kind.code(),
            flist: field.is_list.into(),
        }
    }
}

/// The fields of one extraction call, with the memory that the call needs: extracting into it allocates nothing.
///
/// Falco asks for one field per call, so it is a set of one that shows what Falco sees.
pub struct Requests {
    requests: Vec<Request>,
    pub(super) raw: Vec<api::ss_plugin_extract_field>,
}

impl Requests {
    /// A call for `requests`, at least one and all of the same plugin.
    pub fn new(requests: Vec<Request>) -> Result<Requests> {
        let Some(first) = requests.first() else {
            return Err(broken("an extraction needs at least one field"));
        };
        if requests
            .iter()
            .any(|r| !Arc::ptr_eq(&r.fields, &first.fields))
        {
            return Err(broken("these fields belong to different plugins"));
        }
        let raw = requests.iter().map(Request::raw).collect();
        Ok(Requests { requests, raw })
    }

    /// What is asked for, in order.
    pub fn as_slice(&self) -> &[Request] {
        &self.requests
    }

    /// Whether all of it was made by the plugin that owns this list.
    pub(super) fn belong_to(&self, fields: &Arc<[Field]>) -> bool {
        self.requests
            .first()
            .is_some_and(|r| Arc::ptr_eq(&r.fields, fields))
    }

    /// Makes what the last call left unreadable.
    pub(super) fn forget_results(&mut self) {
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
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => format!("the plugin has no field {name:?}; the nearest is {nearest}"),
        None => format!("the plugin has no field {name:?}"),
    }
}
