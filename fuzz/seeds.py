#!/usr/bin/env python3
"""Writes the seeds of each fuzz target to fuzz/corpus/<target>/, from the files in testdata/."""

import gzip
import hashlib
import json
import pathlib
import re
import urllib.parse
import zlib

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "testdata"
# The targets run with -max_len=4096.
MAX_BYTES = 4096


def seed(target, content):
    """Writes an input for `target`, unless it is too long."""
    if len(content) <= MAX_BYTES:
        directory = HERE / "corpus" / target
        directory.mkdir(parents=True, exist_ok=True)
        (directory / hashlib.sha1(content).hexdigest()).write_bytes(content)


def texts():
    """Stored bytes and text of every log file. The text of a damaged gzip file is empty."""
    for path in sorted(p for top in ("logs", "malformed") for p in (DATA / top).rglob("*")):
        if path.is_file():
            stored = path.read_bytes()
            text = stored
            if stored[:2] == b"\x1f\x8b":
                inflate = zlib.decompressobj(31)
                try:
                    text = inflate.decompress(stored)
                except zlib.error:
                    text = b""
            yield stored, text


def records(text):
    """The records of a valid log file, serialized again; empty for any other text."""
    try:
        return [json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") for one in json.loads(text)["Records"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


# A sequence of calls for `abi`, with the coding of its source.
CALLS = bytes([0, 0, 1, 0, 4, 0, 0, 135, 1, 2, 7, 0, 1, 0, 6, 0, 3, 3, 4, 5, 8, 0, 9, 0, 7, 1, 4, 4, 2, 0, 3, 0])

for stored, text in texts():
    seed("inflate", stored)
    seed("decode", b"\x14" + stored)
    seed("decode", b"\x0a" + stored)
    seed("abi", CALLS + b"\n\n" + stored)
    seed("records", b"\xff" + text)
    seed("records", b"\x07" + text)
    seed("tape", text)
    seed("damage", b"\0" + text)
    for number, record in enumerate(records(text)[:8]):
        seed("inflate", b"\0" + zlib.compress(record, number + 1, -15))
        seed("abi", CALLS + b"\n\n" + gzip.compress(record, mtime=0))
        seed("abi", b"\0\0\1\0\7\0\7\1\0\7\1\1\n\n" + b"\0" * 26 + b"\4\0\0\0" + len(record).to_bytes(4, "little") + b"\2\0\0\0" + record)
        seed("records", b"\x3f" + record + b"\n" + record)
        for form in range(3):
            seed("damage", bytes([form]) + record[1:len(record) // (1 + number)])
        seed("tape", record)
        seed("text", record)
        event = b"\0" * 16 + (38 + len(record)).to_bytes(4, "little") + b"\x42\1\2\0\0\0\4\0\0\0" + len(record).to_bytes(4, "little") + b"\2\0\0\0" + record
        for flags, first in ((0, number), (0x83, 60), (5, 30)):
            choices = [0x87, *(byte for field in range(first, first + 7) for byte in (field, 0))]
            seed("detached", bytes([flags, *choices, 0]) + event)
        for pointer in (b"/userIdentity/arn", b"/resources/0/ARN", b"/a~1b~0c", b"", b"/*/*",
                        b"/resources/*/ARN", b"/additionalEventData/bytesTransferredIn"):
            seed("fields", pointer + b"\n" + record)
            seed("pointer", pointer + b"\n" + record)
        for string in re.findall(rb'"((?:[^"\\]|\\.)*)"', record)[:40]:
            seed("text", string)

STATEMENTS = (
    {"Effect": "Allow", "Principal": {"AWS": ["*", "arn:aws:iam::444455556666:root"]}, "Action": "s3:*",
     "Condition": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    {"Effect": "Allow", "NotPrincipal": "444455556666", "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}}},
    {"Effect": "Allow", "Action": ["iam:*", "*:Get*"], "Resource": ["arn:aws:iam::111122223333:role/app-*", "*"]},
    {"Effect": "Allow", "NotAction": "iam:PassRole", "NotResource": "arn:aws:iam::*:user/${aws:username}"},
    {"Effect": "Deny", "Action": "i?m:*", "Resource": "arn:*", "Condition": {}},
)
for number, statement in enumerate(STATEMENTS):
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for parameters in (json.dumps({"policy": policy}), policy, urllib.parse.quote(policy), json.dumps(urllib.parse.quote_plus(policy))):
        for request in (number, number + 1, 128 + number):
            seed("policy", bytes([request]) + parameters.encode())
seed("policy", b"\5" + b'{"principal":"*","action":"lambda:InvokeFunction","sourceArn":"arn:aws:sns:us-east-1:444455556666:t"}')
seed("policy", b"\2" + b'{"policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}')

for path in sorted((DATA / "notifications").iterdir()):
    seed("message", path.read_bytes())

TRAIL = "AWSLogs/o-exampleorg/111122223333/CloudTrail/us-east-1/2026/01/14/"
NAME = "111122223333_CloudTrail_us-east-1_20260114T0915Z_q3Jm0aXo8ZtBn1Ld.json.gz"
for line in (f"example-trail\n{TRAIL}{NAME}\n{NAME}", "a.b-c_d\nteam+a%20b/caf\u00e9 1=2\n~\n~", "ab\nkey"):
    seed("message", line.encode())

for line in ("2026-01-14T09:15:00Z", "2026-01-14 09:15:00.123456789+02:00", "1970-01-01T00:00:00Z", TRAIL + NAME):
    seed("times", line.encode())

for line in ("5d-2d", "2w", "36h", "2023-04-05T06:00:00Z", "2023-04-05T06:00:00Z-2023-04-05T12:00:10Z", "2023-04-05T06:00:00Z-5d", "5m-1s"):
    seed("interval", line.encode())

CONFIG = {
    "sqsDelete": True, "sqsDeleteWhen": "received", "sqsOwnerAccount": "111122223333", "sqsWaitSeconds": 20, "sqsVisibilityTimeout": 30,
    "sqsMaxReceives": 5, "useS3SNS": False, "s3DownloadConcurrency": 32, "S3Interval": "5d", "s3AccountList": "111122223333, 444455556666",
    "s3OnError": "skip", "useAsync": True, "includeInsights": True, "decodeThreads": 2, "maxBufferedBytes": 1000000, "maxObjectBytes": 1000000,
    "aws": {"profile": "p", "region": "eu-west-1", "endpoint": "http://localhost:4566", "roleArn": "arn:aws:iam::111122223333:role/r", "useFips": False},
}
for params in ("s3://bucket/prefix", "sqs://queue", "/tmp/logs", ""):
    for config in ({}, CONFIG, *({key: value} for key, value in CONFIG.items())):
        seed("config", f"{params}\n{json.dumps(config, separators=(',', ':'))}".encode())
