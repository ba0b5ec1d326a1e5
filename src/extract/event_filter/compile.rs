//! From the configuration's `dropEvents` to a filter, with errors and warnings that name what to change.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::glob::Globs;
use super::{DropFilter, Expected, FieldTest, Matcher};
use crate::batch::EventFilter;
use crate::error::{Error, ErrorKind, Result};
use crate::fields::{Arg, CompiledArgument, FIELDS, FieldExtractor, Pattern, Pointer};
use crate::log::quote::quoted;

/// Fields that name the service; each object needs one of them.
const SERVICE: [&str; 2] = ["ct.src", "ct.shortsrc"];

/// A name that no service has, in both fields: what matches one of them matches every service.
const ANY_SERVICE: [&[u8]; 2] = [b"~.amazonaws.com", b"~"];

/// Fields that name the kind of events; each object needs one of them.
const EVENTS: [&str; 4] = [
    "ct.name",
    "ct.readonly",
    "ct.eventcategory",
    "ct.managementevent",
];

/// The field without which an object drops no failed requests.
const ERROR: &str = "ct.error";

/// Fields whose values AWS sets. The caller of AWS can choose those of all others, or part of them.
const SET_BY_AWS: &[&str] = &[
    "ct.addendum.*",
    "ct.apiversion",
    "ct.consolelogin",
    "ct.error",
    "ct.eventcategory",
    "ct.eventtype",
    "ct.eventversion",
    "ct.id",
    "ct.insight.*",
    "ct.managementevent",
    "ct.mfaused",
    "ct.name",
    "ct.readonly",
    "ct.recipientaccountid",
    "ct.region",
    "ct.requestid",
    "ct.resources.accountid",
    "ct.resources.type",
    "ct.session.assumedroot",
    "ct.session.creationdate",
    "ct.session.ec2roledelivery",
    "ct.session.issuer.accountid",
    "ct.session.issuer.type",
    "ct.session.mfaauthenticated",
    "ct.sessioncredentialfromconsole",
    "ct.sharedeventid",
    "ct.shortsrc",
    "ct.src",
    "ct.srcip",
    "ct.time",
    "ct.timewindow.*",
    "ct.user.accesskeyid",
    "ct.user.accountid",
    "ct.user.credentialid",
    "ct.user.identitytype",
    "ct.user.inscopeof*",
    "ct.user.invokedby*",
    "ct.vpcendpointaccountid",
    "ct.vpcendpointid",
    "s3.cnt.*",
];

/// A filter, if there is one, and warnings about it.
pub type CompiledFilter = (Option<Arc<dyn EventFilter>>, Vec<String>);

/// Compiles `dropEvents`.
///
/// # Errors
///
/// [`ErrorKind::Config`] with the object, the field and what is allowed.
pub fn compile(objects: &[BTreeMap<String, Value>]) -> Result<CompiledFilter> {
    let mut warnings = Vec::new();
    let matchers = objects.iter().enumerate().map(|(at, object)| {
        let place = format!("dropEvents[{at}]");
        let matcher = matcher(object, &mut warnings, &place);
        matcher.map_err(|problem| Error::new(ErrorKind::Config, format!("{place}: {problem}")))
    });
    let matchers: Box<[Matcher]> = matchers.collect::<Result<_>>()?;
    let filter = match matchers.is_empty() {
        true => None,
        false => Some(Arc::new(DropFilter { matchers }) as Arc<dyn EventFilter>),
    };
    Ok((filter, warnings))
}

fn matcher(
    object: &BTreeMap<String, Value>,
    warnings: &mut Vec<String>,
    place: &str,
) -> std::result::Result<Matcher, String> {
    let mut tests = Vec::new();
    for (name, value) in object {
        tests.push(field_test(name, value)?);
    }
    let has_one_of = |names: &[&str]| names.iter().any(|name| object.contains_key(*name));
    if !has_one_of(&SERVICE) || !has_one_of(&EVENTS) {
        return Err(format!(
            "an object needs the service ({}) and the kind of events (one of {}), so that it cannot drop more than you mean",
            SERVICE.join(" or "),
            EVENTS.join(", ")
        ));
    }
    let of_caller: Vec<&str> = tests
        .iter()
        .filter(|test| !is_set_by_aws(FIELDS[test.field].name))
        .map(|test| &*test.name)
        .collect();
    if !of_caller.is_empty() {
        warnings.push(format!(
            "{place}: callers of AWS can choose the value of {}, and so hide events from Falco",
            of_caller.join(", ")
        ));
    }
    for test in &tests {
        if SERVICE.contains(&&*test.name)
            && let Expected::AnyOf(globs) = &test.expected
            && ANY_SERVICE.iter().any(|service| globs.matches(service))
        {
            warnings.push(format!("{place}: {} matches every service", test.name));
        }
    }
    if !object.contains_key(ERROR) {
        tests.push(field_test(ERROR, &Value::Null)?);
    }
    tests.sort_by_key(cost);
    Ok(Matcher {
        tests: tests.into(),
    })
}

fn field_test(name: &str, value: &Value) -> std::result::Result<FieldTest, String> {
    let (base, argument) = match name.split_once('[') {
        None => (name, None),
        Some((base, rest)) => match rest.strip_suffix(']') {
            Some(argument) => (base, Some(argument)),
            None => return Err(format!("{} lacks a ] at its end", quoted(name))),
        },
    };
    let Some(field) = FIELDS.iter().position(|field| field.name == base) else {
        return Err(format!(
            "unknown field {}; the nearest field is {}",
            quoted(base),
            nearest(base)
        ));
    };
    let extractor = FIELDS[field].extractor;
    if let FieldExtractor::Policy(_) = extractor {
        return Err(format!(
            "{base} reads policies, which is done for rules only; name the events by ct.name"
        ));
    }
    let invalid = |problem: Error| problem.to_string();
    let argument = match (extractor, argument) {
        (FieldExtractor::Pointer | FieldExtractor::PointerNumber, Some(text)) => Some(
            CompiledArgument::Pointer(Pointer::compile(text).map_err(invalid)?),
        ),
        (FieldExtractor::PointerList, Some(text)) => Some(CompiledArgument::Pattern(
            Pattern::compile(text).map_err(invalid)?,
        )),
        (FieldExtractor::List(_), Some(text)) => match text.parse() {
            Ok(index) => Some(CompiledArgument::Index(index)),
            Err(_) => return Err(format!("{}: the index is not a number", quoted(name))),
        },
        (_, None) if FIELDS[field].arg != Arg::RequiredKey => None,
        (_, None) => {
            return Err(format!(
                "{base} needs an argument, as in {base}[/requestParameters/bucketName]"
            ));
        }
        (_, Some(_)) => return Err(format!("{}: {base} takes no argument", quoted(name))),
    };
    let expected = match value {
        Value::Null => Expected::NoValue,
        Value::Array(values) if values.is_empty() => {
            return Err(format!(
                "{}: an empty list matches no event; leave the key out, or write null for events without a value",
                quoted(name)
            ));
        }
        Value::Array(values) => Expected::AnyOf(Globs::new(values.iter().map(text_of).collect())),
        one => Expected::AnyOf(Globs::new(vec![text_of(one)])),
    };
    Ok(FieldTest {
        field,
        argument,
        name: name.into(),
        expected,
    })
}

/// The text that a field must have for this value. The schema allows texts, booleans and integers.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The order of evaluation: by the work for a value, then by how few values match. What most events lack comes last.
fn cost(test: &FieldTest) -> (bool, u8, (usize, usize)) {
    let is_missing = matches!(test.expected, Expected::NoValue);
    let work = match (&test.argument, FIELDS[test.field].extractor) {
        (None, FieldExtractor::Key(key)) if key.is_of_record() => 0,
        (None, FieldExtractor::Key(_)) => 1,
        (None, FieldExtractor::Text(_)) => 3,
        (None, _) => 2,
        _ => 4,
    };
    let breadth = match &test.expected {
        Expected::NoValue => (0, 0),
        Expected::AnyOf(globs) => globs.breadth(),
    };
    (is_missing && work == 0, work, breadth)
}

fn is_set_by_aws(name: &str) -> bool {
    SET_BY_AWS
        .iter()
        .any(|known| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *known,
        })
}

/// The name of the most similar field.
fn nearest(name: &str) -> &'static str {
    let similarity =
        |field: &str| strsim::normalized_damerau_levenshtein(field, &name.to_ascii_lowercase());
    let names = FIELDS.iter().map(|field| field.name);
    // Of several, the first.
    names
        .map(|field| (field, similarity(field)))
        .min_by(|(_, a), (_, b)| b.total_cmp(a))
        .map_or("", |(field, _)| field)
}
