//! All scanners write the same tape for any text, and the values on it are those of `serde_json` for valid JSON.
#![no_main]

use cloudtrail::testing::{Scan, Scanner, Tape, TapeBuffer, Value, ValueType, unescape};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

fuzz_target!(|text: &[u8]| {
    let mut tapes = TapeBuffer::default();
    let baseline = Scanner::baseline().scan(text, &mut tapes);
    let fast_tapes = [Scanner::default(), Scanner::without_avx512()].map(|scanner| {
        let mut tapes = TapeBuffer::default();
        let fast = scanner.scan(text, &mut tapes);
        assert_eq!(format!("{fast:?}"), format!("{baseline:?}"));
        tapes
    });
    let trimmed = text.trim_ascii_end();
    let oracle = std::str::from_utf8(trimmed)
        .ok()
        .and_then(|it| serde_json::from_str::<&RawValue>(it).ok());
    let Scan::Whole {
        len,
        tape,
        separated,
    } = baseline
    else {
        assert!(
            oracle.is_none() || !text.starts_with(b"{") && !text.starts_with(b"["),
            "valid JSON was rejected"
        );
        return;
    };
    let baseline = tapes.tape(tape, &text[..len]);
    for fast in &fast_tapes {
        let fast = fast.tape(tape, &text[..len]);
        assert_eq!(format!("{fast:?}"), format!("{baseline:?}"));
    }
    if let Some(oracle) = oracle {
        assert!(separated && len == trimmed.len());
        compare(baseline, Value::ROOT, oracle);
    }
});

fn compare(tape: Tape<'_>, value: Value, oracle: &RawValue) {
    let raw = oracle.get();
    assert_eq!(tape.raw(value), raw.as_bytes());
    match raw.as_bytes()[0] {
        b'{' => {
            let mut members = tape.members(value);
            // `serde_json` rejects a key with a lone surrogate, which it did not check as part of a raw value.
            let Ok(Members(expected)) = serde_json::from_str(raw) else {
                return;
            };
            for (name, inside) in expected {
                let (key, value) = members.next().expect("a member");
                assert_eq!(unescaped(key), name.into_bytes());
                compare(tape, value, inside);
            }
            assert!(members.next().is_none() && tape.value_type(value) == ValueType::Object);
        }
        b'[' => {
            let mut elements = tape.elements(value);
            for inside in serde_json::from_str::<Vec<&RawValue>>(raw).expect("accepted before") {
                compare(tape, elements.next().expect("an element"), inside);
            }
            assert!(elements.next().is_none() && tape.value_type(value) == ValueType::Array);
        }
        b'"' => {
            // `serde_json` rejects a lone surrogate here too.
            if let Ok(text) = serde_json::from_str::<String>(raw) {
                assert_eq!(
                    unescaped(tape.string(value).expect("a string")),
                    text.into_bytes()
                );
            }
        }
        _ => assert_eq!(tape.value_type(value), ValueType::Scalar),
    }
}

fn unescaped(inside: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    unescape(inside, &mut out);
    out
}

/// The members of an object in order, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}
