"""Damaged log files, each with the eventIDs of the records that must still be delivered."""

import gzip
import json
import struct
import zlib


def record(identifier, **more):
    return json.dumps({
        "eventVersion": "1.11", "userIdentity": {"type": "IAMUser", "userName": "alice"},
        "eventTime": "2026-01-14T12:00:00Z", "eventSource": "ec2.amazonaws.com",
        "eventName": "DescribeInstances", "awsRegion": "us-east-1", "sourceIPAddress": "192.0.2.10",
        "userAgent": "x", "requestParameters": None, "responseElements": None, "eventID": identifier,
        "readOnly": True, "eventType": "AwsApiCall", "eventCategory": "Management",
    } | more, separators=(",", ":")).encode()


def with_agent(identifier, agent):
    """A record with the unescaped bytes `agent` as its userAgent."""
    return record(identifier).replace(b'"userAgent":"x"', b'"userAgent":"' + agent + b'"')


def log(*records, separator=b","):
    return b'{"Records":[' + separator.join(records) + b"]}"


def stored_gzip(text, checksum=None, length=None):
    """A gzip file that stores `text` uncompressed, so that a position in the file is a position in the text."""
    body = b""
    for start in range(0, len(text), 400):
        part = text[start:start + 400]
        body += struct.pack("<BHH", start + 400 >= len(text), len(part), len(part) ^ 0xFFFF) + part
    crc = zlib.crc32(text) if checksum is None else checksum
    size = len(text) if length is None else length
    return bytes.fromhex("1f8b08000000000000ff") + body + struct.pack("<II", crc, size)


GOOD = [record(f"good-{n}") for n in range(1, 10)]
TEN = log(*[record(f"r-{n}") for n in range(10)])
NESTED_TEXT = '},{"eventVersion":"1.08","eventID":"forged","eventTime":"2026-01-14T12:00:00Z"},{"x":"'
ESCAPED_NESTED_TEXT = json.dumps(NESTED_TEXT).encode()[1:-1]

# name: (content, description of the damage, eventIDs of the delivered records in order)
FILES = {
    "truncated-gzip.json.gz": (
        stored_gzip(TEN)[: len(TEN) * 6 // 10], "the gzip stream ends in the middle of a record",
        [f"r-{n}" for n in range(5)]),
    "truncated-gzip-second-member.json.gz": (
        stored_gzip(TEN[:1200]) + stored_gzip(TEN[1200:])[: len(TEN) * 6 // 10 - 1200],
        "the second gzip member ends in the middle of a record", [f"r-{n}" for n in range(5)]),
    "truncated-gzip-header.json.gz": (b"\x1f\x8b\x08\x00", "the gzip header is cut off", []),
    "wrong-gzip-checksum.json.gz": (
        stored_gzip(log(*GOOD[:3]), checksum=0xBAD), "the checksum does not match the text",
        ["good-1", "good-2", "good-3"]),
    "wrong-gzip-length.json.gz": (
        stored_gzip(log(*GOOD[:3]), length=7), "the length in the trailer does not match the text",
        ["good-1", "good-2", "good-3"]),
    "broken-deflate-block.json.gz": (
        stored_gzip(log(*GOOD[:4]))[: 10 + 3 * 405] + b"\x06\xff\xff" + b"\xaa" * 40,
        "a block of an invalid type follows 1,200 bytes of text",
        ["good-1", "good-2", "good-3"]),
    "bytes-after-gzip.json.gz": (
        gzip.compress(log(*GOOD[:2]), mtime=0) + b"\0\0\0\0not gzip", "bytes that are not gzip follow the stream",
        ["good-1", "good-2"]),
    "not-gzip-despite-its-name.json.gz": (log(*GOOD[:2]), "plain JSON under a .gz name", ["good-1", "good-2"]),
    "empty-gzip.json.gz": (gzip.compress(b"", mtime=0), "gzip of an empty text", []),
    "empty.json": (b"", "an empty file", []),
    "white-space-only.json": (b" \r\n\t\n", "white space only", []),
    "no-records.json": (log(), "an empty array of records", []),
    "records-null.json": (b'{"Records":null}', "null instead of the array of records", []),
    "111122223333_CloudTrail_us-east-1_20260114T1200Z_records-null.json": (
        b'{"Records":null}', "null instead of the array of records, in a file whose name has a time", []),
    "111122223333_CloudTrail_us-east-1_20260114T1200Z_no-time.json": (
        log(GOOD[0], record("no-time").replace(b"eventTime", b"eventClock"), GOOD[1]),
        "a record without a time, in a file whose name has one", ["good-1", "no-time", "good-2"]),
    "not-json.json": (b"hello, this is no log\n", "not JSON", []),
    "utf-16.json": (log(*GOOD[:2]).decode().encode("utf-16"), "UTF-16 instead of UTF-8", []),
    "truncated.json": (log(*GOOD[:3])[:-200], "plain JSON that ends in the middle of the third record", ["good-1", "good-2"]),
    "truncated-in-string.json": (
        log(GOOD[0], with_agent("lost", b"x" * 50)).partition(b"x" * 30)[0] + b"xx", "ends inside a string", ["good-1"]),
    "unterminated-string.json": (
        log(GOOD[0], record("bad").replace(b'"awsRegion":"us-east-1"', b'"awsRegion":"us-east-1'), GOOD[1], GOOD[2]),
        "a string without its closing quote in the second of four records", ["good-1", "good-2", "good-3"]),
    "unterminated-string-at-end-of-record.json": (
        log(GOOD[0], b'{"eventTime":"2026-01-14T12:00:00Z","eventID":"bad","eventName":"x}', GOOD[1], GOOD[2]),
        "the last string of the second record has no closing quote", ["good-1", "good-2", "good-3"]),
    "missing-closing-brace.json": (
        log(GOOD[0], record("bad")[:-1], GOOD[1], GOOD[2]), "no closing brace at the end of the second record",
        ["good-1", "good-2", "good-3"]),
    "missing-inner-brace.json": (
        log(GOOD[0], record("bad").replace(b'"alice"}', b'"alice"'), GOOD[1], GOOD[2]),
        "userIdentity of the second record is not closed", ["good-1", "good-2", "good-3"]),
    "brace-too-many.json": (
        log(GOOD[0], record("good-x") + b"}", GOOD[1]), "an extra closing brace after the second record",
        ["good-1", "good-x", "good-2"]),
    "no-comma-between-records.json": (log(*GOOD[:3], separator=b" "), "records without commas", ["good-1", "good-2", "good-3"]),
    "comma-after-last-record.json": (log(*GOOD[:2]).replace(b"]}", b",]}"), "a comma after the last record", ["good-1", "good-2"]),
    "not-objects.json": (
        log(b"1", GOOD[0], b'"text"', b"null", b"[" + record("inside-an-array") + b"]", GOOD[1], b"true", b"-1.5e3", b"[]", GOOD[2]),
        "elements that are not objects", ["good-1", "good-2", "good-3"]),
    "lone-surrogates.json": (
        log(GOOD[0], with_agent("high", b"a\\ud800b"), with_agent("low", b"\\udfff"), with_agent("two-high", b"\\ud83d\\ud83d\\ude00"),
            with_agent("reversed", b"\\ude00\\ud83d"), with_agent("at-end", b"x\\uDBFF"), GOOD[1]),
        "escapes of lone surrogates", ["good-1", "high", "low", "two-high", "reversed", "at-end", "good-2"]),
    "invalid-utf-8.json": (
        log(GOOD[0], with_agent("stray", b"a\xffb"), with_agent("cut", b"\xe2\x82"), with_agent("overlong", b"\xc0\xaf"),
            with_agent("surrogate", b"\xed\xa0\x80"), with_agent("latin-1", b"J\xfcrgen"),
            record("key").replace(b'"eventType"', b'"\xfe":1,"eventType"'),
            record("container").replace(b'"requestParameters":null', b'"requestParameters":{"name":"\xf0\x9f\x98"}'), GOOD[1]),
        "bytes that are not UTF-8", ["good-1", "stray", "cut", "overlong", "surrogate", "latin-1", "key", "container", "good-2"]),
    "raw-control-characters.json": (
        log(GOOD[0], with_agent("newline", b"a\nb\r\n\tc"), with_agent("bell", b"\x07\x1b[31m\x7f"), with_agent("nul", b"before\0after"), GOOD[1]),
        "control characters that are not escaped", ["good-1", "newline", "bell", "nul", "good-2"]),
    "numbers-out-of-range.json": (
        log(GOOD[0], *[record(name, additionalEventData=None).replace(
            b'"additionalEventData":null', b'"additionalEventData":{"bytesTransferredIn":' + number + b"}")
            for name, number in (("exponent", b"1e999"), ("digits", b"9" * 400), ("small", b"1e-999"), ("negative", b"-1e999"),
                                 ("u64-and-one", b"18446744073709551616"))], GOOD[1]),
        "numbers outside the range of machine types", ["good-1", "exponent", "digits", "small", "negative", "u64-and-one", "good-2"]),
    "unknown-escape.json": (
        log(GOOD[0], with_agent("letter", b"a\\xb"), with_agent("digits", b"\\u12G4"), GOOD[1]),
        "invalid escapes", ["good-1", "letter", "digits", "good-2"]),
    "byte-order-mark.json": (b"\xef\xbb\xbf" + log(*GOOD[:2]), "a byte order mark at the start", ["good-1", "good-2"]),
    "byte-order-mark.json.gz": (gzip.compress(b"\xef\xbb\xbf" + log(*GOOD[:2]), mtime=0), "a byte order mark in gzip", ["good-1", "good-2"]),
    "text-like-records-in-strings.json": (
        log(with_agent("good-1", ESCAPED_NESTED_TEXT), with_agent("good-2", b'{\\"Records\\":[{\\"eventID\\":\\"forged\\"}]}'), GOOD[2],
            record("unbalanced")[:-1], with_agent("good-4", ESCAPED_NESTED_TEXT)),
        "strings that look like records, next to a damaged record", ["good-1", "good-2", "good-3", "good-4"]),
    "no-time.json": (
        log(GOOD[0], record("no-time").replace(b"eventTime", b"eventClock"), record("bad-time").replace(b"2026-01-14T12", b"yesterday"), GOOD[1]),
        "records without a time, in a file whose name has none", ["good-1", "good-2"]),
    "damaged-line.json": (
        b"\n".join([GOOD[0], record("bad")[:300], GOOD[1], b"plain text", GOOD[2], b""]), "one record per line, two lines damaged",
        ["good-1", "good-2", "good-3"]),
    "bytes-after-log.json": (log(*GOOD[:2]) + b"\n\n<!-- proxy says hello -->", "text after the closing brace", ["good-1", "good-2"]),
}
