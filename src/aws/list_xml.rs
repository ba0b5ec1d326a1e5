//! Parses the XML of a listing page.
//!
//! Strict: a document that is cut off, not well formed or of another kind is no page, and the SDK judges it.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::timestamp;

/// A page of a listing as the service sent it. Keys, common prefixes and the token may be invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListAnswer {
    pub(crate) objects: Vec<ListedKey>,
    /// `None` for one without its text.
    pub(crate) common_prefixes: Vec<Option<String>>,
    /// Keys and common prefixes are URL-encoded.
    pub(crate) is_encoded: bool,
    pub(crate) is_truncated: Option<bool>,
    pub(crate) next_token: Option<String>,
    /// Number of keys and common prefixes.
    pub(crate) key_count: Option<i32>,
    /// The document is whole.
    pub(crate) is_complete: bool,
}

/// An object of a [`ListAnswer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListedKey {
    pub(crate) key: Option<String>,
    /// Stored size in bytes; 0 if it is missing.
    pub(crate) size: u64,
    /// `LastModified` in seconds since the epoch; 0 if it is missing.
    pub(crate) modified: i64,
}

impl ListAnswer {
    /// Parses a whole `ListBucketResult`; `None` for any other document. Unknown elements are skipped.
    pub(super) fn parse(document: &[u8]) -> Option<ListAnswer> {
        let mut xml = Elements::root(document, "ListBucketResult")?;
        let mut answer = ListAnswer::default();
        while let Some(element) = xml.next()? {
            match element.local_name().as_ref() {
                "Contents" => answer.objects.push(object(&mut xml)?),
                "CommonPrefixes" => answer.common_prefixes.push(common_prefix(&mut xml)?),
                "EncodingType" => answer.is_encoded = xml.text()? == "url",
                "IsTruncated" => answer.is_truncated = Some(xml.text()?.parse().ok()?),
                "NextContinuationToken" => answer.next_token = Some(xml.text()?.into_owned()),
                "KeyCount" => answer.key_count = Some(xml.text()?.parse().ok()?),
                _ => xml.skip()?,
            }
        }
        xml.end()?;
        answer.is_complete = true;
        Some(answer)
    }
}

fn object(xml: &mut Elements<'_>) -> Option<ListedKey> {
    let mut object = ListedKey::default();
    while let Some(element) = xml.next()? {
        match element.local_name().as_ref() {
            "Key" => object.key = Some(xml.text()?.into_owned()),
            "Size" => object.size = size(xml.text()?.parse().ok()?),
            "LastModified" => object.modified = seconds(&xml.text()?)?,
            _ => xml.skip()?,
        }
    }
    Some(object)
}

fn common_prefix(xml: &mut Elements<'_>) -> Option<Option<String>> {
    let mut prefix = None;
    while let Some(element) = xml.next()? {
        match element.local_name().as_ref() {
            "Prefix" => prefix = Some(xml.text()?.into_owned()),
            _ => xml.skip()?,
        }
    }
    Some(prefix)
}

/// A size that is negative is none.
pub(super) fn size(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

/// Seconds since the epoch; `None` before it too.
fn seconds(text: &str) -> Option<i64> {
    let nanoseconds = timestamp::parse(text.as_bytes())?;
    i64::try_from(nanoseconds / 1_000_000_000).ok()
}

/// The elements of a document, in which either elements stand or text. `None` of any method: it is not well formed, or
/// has both.
struct Elements<'d> {
    reader: Reader<&'d [u8]>,
}

impl<'d> Elements<'d> {
    /// Enters the root element, which must have this name.
    fn root(document: &'d [u8], name: &str) -> Option<Elements<'d>> {
        let mut reader = Reader::from_reader(document);
        reader.config_mut().expand_empty_elements = true;
        let mut elements = Elements { reader };
        loop {
            match elements.event()? {
                Event::Decl(_) => {}
                event if is_space(&event) => {}
                Event::Start(root) if root.local_name().as_ref() == name => return Some(elements),
                _ => return None,
            }
        }
    }

    /// Enters the next element of the current one; `Some(None)` leaves this one, which has no more.
    fn next(&mut self) -> Option<Option<BytesStart<'d>>> {
        loop {
            match self.event()? {
                Event::Start(element) => return Some(Some(element)),
                Event::End(_) => return Some(None),
                event if is_space(&event) => {}
                _ => return None,
            }
        }
    }

    /// Leaves the current element, which has this text, as it is sent: line ends are part of a key.
    fn text(&mut self) -> Option<Cow<'d, str>> {
        let mut text = Cow::Borrowed("");
        loop {
            let part = match self.event()? {
                Event::End(_) => return Some(text),
                Event::Text(part) => part.into_inner(),
                Event::CData(part) => part.into_inner(),
                Event::GeneralRef(reference) => resolved(&reference)?,
                Event::Comment(_) => continue,
                _ => return None,
            };
            match text.is_empty() {
                true => text = part,
                false => text.to_mut().push_str(&part),
            }
        }
    }

    /// Leaves the current element, whatever it has.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.event()? {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::GeneralRef(reference) => {
                    resolved(&reference)?;
                }
                Event::Eof | Event::DocType(_) | Event::Decl(_) => return None,
                _ => {}
            }
        }
        Some(())
    }

    /// Checks that nothing follows the root element.
    fn end(&mut self) -> Option<()> {
        loop {
            match self.event()? {
                Event::Eof => return Some(()),
                event if is_space(&event) => {}
                _ => return None,
            }
        }
    }

    fn event(&mut self) -> Option<Event<'d>> {
        let event = self.reader.read_event().ok()?;
        match &event {
            Event::Start(element) if !is_well_formed(element) => None,
            _ => Some(event),
        }
    }
}

/// The reader checks neither the characters of names nor attributes.
fn is_well_formed(element: &BytesStart<'_>) -> bool {
    let name = element.name().0;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":_-.".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_plain)
        && (name.len() == element.len() || element.attributes().all(|attribute| attribute.is_ok()))
}

/// Whether an event says nothing where elements are expected.
fn is_space(event: &Event<'_>) -> bool {
    match event {
        Event::Text(text) => text.bytes().all(|byte| byte.is_ascii_whitespace()),
        Event::Comment(_) => true,
        _ => false,
    }
}

/// The character of a reference; `None` for one that XML does not predefine.
fn resolved<'d>(reference: &BytesRef<'_>) -> Option<Cow<'d, str>> {
    match reference.resolve_char_ref().ok()? {
        Some(character) => Some(Cow::Owned(character.to_string())),
        None => resolve_xml_entity(reference).map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(key: &str, size: u64, modified: i64) -> ListedKey {
        ListedKey {
            key: Some(key.to_owned()),
            size,
            modified,
        }
    }

    #[test]
    fn everything_that_s3_writes_is_read_or_skipped() {
        let page = ListAnswer::parse(
            br#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>trail</Name><Prefix>a/</Prefix><StartAfter>a/0</StartAfter><NextContinuationToken>1ue/+=</NextContinuationToken><KeyCount>5</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
  <Contents><Key>a/1+%26.json.gz</Key><LastModified>2026-01-14T12:00:00.000Z</LastModified><ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>2861</Size><StorageClass>GLACIER</StorageClass><Owner><ID>75aa</ID><DisplayName/></Owner><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus></Contents>
  <Contents><Key>a/2</Key></Contents>
  <Contents></Contents>
  <CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes><CommonPrefixes/>
</ListBucketResult>
"#,
        );
        let expected = ListAnswer {
            objects: vec![
                object("a/1+%26.json.gz", 2861, 1_768_392_000),
                object("a/2", 0, 0),
                ListedKey::default(),
            ],
            common_prefixes: vec![Some("a/b/".to_owned()), None],
            is_encoded: true,
            is_truncated: Some(true),
            next_token: Some("1ue/+=".to_owned()),
            key_count: Some(5),
            is_complete: true,
        };
        assert_eq!(page, Some(expected));
    }

    fn keys(contents: &str) -> Option<Vec<String>> {
        let document = format!("<ListBucketResult>{contents}</ListBucketResult>");
        let page = ListAnswer::parse(document.as_bytes())?;
        let keys = page.objects.into_iter().map(|object| object.key);
        keys.collect()
    }

    #[test]
    fn text_is_what_xml_says() {
        for (text, key) in [
            ("a&amp;b&lt;&gt;&quot;&apos;", "a&b<>\"'"),
            ("&#97;&#x62;&#x1F600;&#10;", "ab\u{1F600}\n"),
            ("&amp;lt;", "&lt;"),
            ("<![CDATA[a&amp;<b>]]>", "a&amp;<b>"),
            ("a<!-- b -->c<![CDATA[d]]>&#101;", "acde"),
            (" a\r\nb ", " a\r\nb "),
            ("\u{1}\u{7f}é\u{10000}", "\u{1}\u{7f}é\u{10000}"),
            ("", ""),
        ] {
            let contents = format!("<Contents><Key>{text}</Key></Contents>");
            assert_eq!(keys(&contents), Some(vec![key.to_owned()]), "{text:?}");
        }
    }

    #[test]
    fn elements_are_known_by_their_local_names() {
        let document = "\u{feff}<s3:ListBucketResult xmlns:s3='x'><s3:Contents><s3:Key>a</s3:Key></s3:Contents><s3:IsTruncated >false</s3:IsTruncated\n><Other Key='b'><Contents><Key>c</Key></Contents></Other></s3:ListBucketResult><!-- end -->\n";
        let page = ListAnswer::parse(document.as_bytes()).expect("a page");
        assert_eq!(page.objects, [object("a", 0, 0)]);
        assert_eq!(page.is_truncated, Some(false));
    }

    #[test]
    fn documents_that_are_no_whole_page_are_left_to_the_sdk() {
        for document in [
            "",
            "{}",
            "<html><body>Log in</body></html>",
            "<Error><Code>SlowDown</Code></Error>",
            "<ListBucketResult>",
            "<ListBucketResult></ListBucketResult>x",
            "<ListBucketResult></ListBucketResult><ListBucketResult/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><ListBucketResult/>",
        ] {
            assert_eq!(ListAnswer::parse(document.as_bytes()), None, "{document}");
        }
        for contents in [
            "<Contents><Key>a</Key>",
            "<Contents><Key>a</Contents></Key>",
            "<Contents><Key>a</key></Contents>",
            "<Contents><Key>&b;</Key></Contents>",
            "<Contents><Key>&#0;</Key></Contents>",
            "<Contents><Key>&#xD800;</Key></Contents>",
            "<Contents><Key>a & b</Key></Contents>",
            "<Contents><Key>a<b/></Key></Contents>",
            "<Contents><Size>many</Size></Contents>",
            "<Contents><Size>1 </Size></Contents>",
            "<Contents><LastModified>yesterday</LastModified></Contents>",
            "<Contents>Key</Contents>",
            "<IsTruncated>maybe</IsTruncated>",
            "<KeyCount/>",
            "<Name><a></Name>",
            "<Name a='1' a='2'/>",
            "<Name a=1/>",
            "<?xml version='1.0'?>",
        ] {
            assert_eq!(keys(contents), None, "{contents}");
        }
        let not_utf8 = b"<ListBucketResult><Contents><Key>\xff</Key></Contents></ListBucketResult>";
        assert_eq!(ListAnswer::parse(not_utf8), None);
    }

    #[test]
    fn deep_documents_need_no_stack() {
        let depth = 200_000;
        let document = ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
        assert_eq!(keys(&document), Some(Vec::new()));
    }

    /// Writes each character as XML allows it, by these numbers.
    fn written(text: &str, forms: &[u8]) -> String {
        let mut forms = forms.iter().cycle();
        let characters = text.chars().map(|character| {
            let number = u32::from(character);
            match (character, forms.next()) {
                ('&', _) => "&amp;".to_owned(),
                ('<', _) => "&lt;".to_owned(),
                ('\0', _) => "0".to_owned(),
                (_, Some(0)) => format!("&#{number};"),
                (_, Some(1)) => format!("&#x{number:x};"),
                (_, Some(2)) if character != ']' => format!("<![CDATA[{character}]]>"),
                _ => character.to_string(),
            }
        });
        characters.collect()
    }

    proptest! {
        #[test]
        fn any_page_is_read_as_it_was_written_and_none_that_is_cut(
            keys in proptest::collection::vec((any::<String>(), any::<u32>(), 0..4_000_000_000_i64), 0..6),
            token: Option<String>,
            is_truncated: bool,
            forms in proptest::collection::vec(0..9_u8, 1..20),
            cut: prop::sample::Index,
        ) {
            let mut document = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
            let mut objects = Vec::new();
            for (key, size, modified) in &keys {
                let key = key.replace('\0', "0");
                let (year, month, day) = timestamp::civil_date(*modified);
                let second = modified % 86_400;
                let time = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.5Z", second / 3600, second / 60 % 60, second % 60);
                document += &format!("<Contents><Key>{}</Key><LastModified>{time}</LastModified><Size>{size}</Size></Contents>", written(&key, &forms));
                objects.push(object(&key, u64::from(*size), *modified));
            }
            document += &format!("<IsTruncated>{is_truncated}</IsTruncated>");
            let token = token.map(|token| token.replace('\0', "0"));
            if let Some(token) = &token {
                document += &format!("<NextContinuationToken>{}</NextContinuationToken>", written(token, &forms));
            }
            document += "</ListBucketResult>";
            let expected = ListAnswer {
                objects,
                next_token: token,
                is_truncated: Some(is_truncated),
                is_complete: true,
                ..ListAnswer::default()
            };
            prop_assert_eq!(ListAnswer::parse(document.as_bytes()), Some(expected));
            prop_assert_eq!(ListAnswer::parse(&document.as_bytes()[..cut.index(document.len())]), None);
        }
    }
}
