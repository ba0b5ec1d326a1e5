//! Ways to write records to a file.
#![forbid(unsafe_code)]

use proptest::prelude::*;
use proptest::sample::select;

use super::Text;
use crate::support::scratch::gzip;

/// A way to write records to a file.
#[derive(Clone, Debug)]
pub struct Container {
    wrap: Wrap,
    separator: &'static str,
    packing: Packing,
}

#[derive(Clone, Debug)]
enum Wrap {
    /// `{"Records":[…]}` with a text before the key and a text after the array.
    Records(&'static str, &'static str),
    Array,
    Lines,
}

#[derive(Clone, Debug)]
enum Packing {
    Plain,
    Gzip,
    /// Cut at these offsets, in 256ths of the text, and each part compressed separately.
    Members(Vec<u8>),
}

/// Any container.
pub fn container() -> impl Strategy<Value = Container> {
    let wrap = prop_oneof![
        4 => Just(Wrap::Records("", "")),
        2 => (select(BEFORE), select(AFTER)).prop_map(|(before, after)| Wrap::Records(before, after)),
        1 => Just(Wrap::Array),
        1 => Just(Wrap::Lines),
    ];
    let packing = prop_oneof![
        2 => Just(Packing::Plain),
        1 => Just(Packing::Gzip),
        1 => prop::collection::vec(any::<u8>(), 1..4).prop_map(Packing::Members),
    ];
    let separator = select(&[",", " , ", "\n,\n    ", ",\r\n\t"][..]);
    (wrap, separator, packing).prop_map(|(wrap, separator, packing)| Container {
        wrap,
        separator,
        packing,
    })
}

impl Container {
    /// The bytes of a file with these records.
    pub fn file(&self, records: &[Text]) -> Vec<u8> {
        let joined = records.join(self.separator.as_bytes());
        let text = match self.wrap {
            Wrap::Records(before, after) => {
                let open = format!("{{{before}\"Records\":[");
                let close = format!("]{after}}}");
                [open.as_bytes(), &joined, close.as_bytes()].concat()
            }
            Wrap::Array => [b"[\n", &joined[..], b"]\n"].concat(),
            Wrap::Lines => {
                // A record with line breaks spans several lines.
                let line = |record: &Text| [&record[..], b"\n"].concat();
                records.iter().flat_map(line).collect()
            }
        };
        match &self.packing {
            Packing::Plain => text,
            Packing::Gzip => gzip(&text),
            Packing::Members(cuts) => members(&text, cuts),
        }
    }
}

/// A gzip stream of several members: the text is cut at these 256ths of it.
pub fn members(text: &[u8], cuts: &[u8]) -> Vec<u8> {
    let mut cuts: Vec<_> = cuts
        .iter()
        .map(|cut| text.len() * usize::from(*cut) / 256)
        .collect();
    cuts.sort_unstable();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([text.len()]);
    starts
        .zip(ends)
        .flat_map(|(start, end)| gzip(&text[start..end]))
        .collect()
}

/// Other keys before the records.
const BEFORE: &[&str] = &[
    "",
    "\"a\":1, ",
    " \n\"Record\":[{\"eventTime\":\"2026-01-14T12:00:00Z\"}],",
    "\"x\":{\"Records\":[{}]},",
    "\"y\":\"\\\"Records\\\":[{\",\"z\":[[],{}],",
];

/// Other keys after the records.
const AFTER: &[&str] = &[
    "",
    " ",
    ",\"a\":null",
    ", \"next\" : {\"Records\":[]}\n",
    ",\"s\":\"]}{\"",
];
