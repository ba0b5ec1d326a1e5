//! Strings, numbers and other JSON values as raw text.
#![forbid(unsafe_code)]

use proptest::prelude::*;
use proptest::sample::select;

use super::Text;

/// White space between tokens; mostly none.
pub fn white_space() -> impl Strategy<Value = Text> {
    prop_oneof![
        8 => Just(Text::new()),
        1 => Just(b" ".to_vec()),
        1 => "[ \t\r\n]{1,5}".prop_map(String::into_bytes),
    ]
}

/// The key `name` in quotes, sometimes with escaped characters.
pub fn key(name: &str) -> BoxedStrategy<Text> {
    let plain = quote(name.chars().map(plain_char).collect());
    let name = name.to_owned();
    let escaped = any::<u64>().prop_map(move |mask| {
        let escape = |place: usize| mask >> (place % 64) & 1 == 1;
        let chars = name.chars().enumerate();
        quote(
            chars
                .map(|(place, char)| match char {
                    'a'..='z' | 'A'..='Z' if escape(place) => {
                        format!("\\u{:04X}", char as u32).into_bytes()
                    }
                    _ => plain_char(char),
                })
                .collect(),
        )
    });
    prop_oneof![9 => Just(plain), 1 => escaped].boxed()
}

/// A string of pieces that parsers often get wrong.
pub fn string() -> BoxedStrategy<Text> {
    let pieces = prop_oneof![
        6 => "[a-zA-Z0-9 ._:/@-]{0,12}".prop_map(String::into_bytes),
        2 => any::<char>().prop_map(plain_char),
        2 => any::<u16>().prop_map(|unit| format!("\\u{unit:04x}").into_bytes()),
        2 => select(PIECES).prop_map(<[u8]>::to_vec),
        1 => any::<char>().prop_map(|char| char
            .encode_utf16(&mut [0; 2])
            .iter()
            .map(|unit| format!("\\u{unit:04X}"))
            .collect::<String>()
            .into_bytes()),
    ];
    let short = prop::collection::vec(pieces.boxed(), 0..5).prop_map(quote);
    let long = (
        1_usize..6_000,
        select(&["x", "é", "\\n", "\\\\", "\\\"", "{", "😀"][..]),
    )
        .prop_map(|(count, unit)| quote(vec![unit.repeat(count / unit.len()).into_bytes()]));
    prop_oneof![30 => short, 1 => long].boxed()
}

/// A number of any form and size, or a string.
pub fn number() -> BoxedStrategy<Text> {
    let token = prop_oneof![
        3 => select(NUMBERS).prop_map(str::to_owned),
        2 => any::<u64>().prop_map(|whole| whole.to_string()),
        1 => any::<i64>().prop_map(|whole| whole.to_string()),
        2 => (0_u32..2_000_000_000, 0_u32..100).prop_map(|(whole, part)| format!("{whole}.{part}")),
        1 => (0_u32..10_000, -30_i32..30).prop_map(|(whole, power)| format!("{whole}e{power}")),
        1 => any::<f64>().prop_filter("JSON has no such number", |it| it.is_finite()).prop_map(|it| format!("{it:e}")),
    ];
    prop_oneof![8 => token.prop_map(String::into_bytes), 1 => string()].boxed()
}

/// Any JSON value.
pub fn any_value() -> BoxedStrategy<Text> {
    let leaf = prop_oneof![
        4 => string(),
        2 => number(),
        3 => select(&["null", "true", "false", "{}", "[]", "[ ]", "{ }"][..]).prop_map(|it| it.as_bytes().to_vec()),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let member = (string(), white_space(), inner.clone())
            .prop_map(|(key, space, value)| [&key, &space, &b":"[..], &space, &value].concat());
        let members = prop::collection::vec(member, 0..4);
        let elements = prop::collection::vec(inner, 0..4);
        prop_oneof![
            (elements, white_space())
                .prop_map(|(elements, space)| wrapped(b'[', &elements, &space, b']')),
            (members, white_space())
                .prop_map(|(members, space)| wrapped(b'{', &members, &space, b'}')),
        ]
    })
    .boxed()
}

fn wrapped(open: u8, parts: &[Text], space: &[u8], close: u8) -> Text {
    let comma = [b",", space].concat();
    [&[open], space, &parts.join(&comma[..]), space, &[close]].concat()
}

fn quote(pieces: Vec<Text>) -> Text {
    [b"\"", &pieces.concat()[..], b"\""].concat()
}

fn plain_char(char: char) -> Text {
    match char {
        '"' | '\\' => vec![b'\\', char as u8],
        _ => char.to_string().into_bytes(),
    }
}

/// Pieces that parsers often get wrong. Each keeps quotes and braces balanced.
const PIECES: &[&[u8]] = &[
    b"},{\\\"eventVersion\\\":\\\"1.08\\\"",
    b"},{'eventVersion':'1.08'}]}",
    b"]}",
    b"{\\\"Records\\\":[{",
    b"[[[[",
    b"\\\\\\\"",
    b"\\\\",
    b"\\\"",
    b"\\/\\b\\f\\n\\r\\t",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"\\ud83d\\ude00",
    b"\\ud83d\\ud83d\\ude00",
    b"\\ude00\\ud83d",
    b"\\uD83D\\n",
    b"\xff",
    b"\xe2\x82",
    b"\xe2\x82\xac",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98",
    b"\xf0\x9f\x98\x80",
    b"\xf4\x90\x80\x80",
    b"\n",
    b"\t\r\x01\x1f\x7f",
    b"\0",
    b"// /* comment */",
    b" : , ",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "0.0",
    "1",
    "-1",
    "2917.0",
    "1.688560107857E9",
    "0.9",
    "-0.5",
    "1e2",
    "1E+2",
    "1e-2",
    "1.5e3",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615.5",
    "1e19",
    "2e19",
    "1e308",
    "1e309",
    "-1e309",
    "1e-400",
    "123456789012345678901234567890",
    "0.30000000000000000000000000000000000000000000000000000000001",
    "4.9e-324",
];
