#!/usr/bin/env python3
"""Writes the sample logs and the values expected of every field of them.

    python3 testdata/generate.py            write logs/, malformed/ and expected/
    python3 testdata/generate.py --check    fail if what is committed differs

Deterministic, standard library only. Gzip files are compared by what they hold,
since compressors differ between versions of zlib; an existing gzip file that
still holds the right bytes is left as it is.
"""

import gzip
import json
from pathlib import Path
import re
import sys
import zlib

sys.dont_write_bytecode = True

import damaged  # noqa: E402, must not leave compiled files beside the samples
import reference  # noqa: E402
import story  # noqa: E402

HERE = Path(__file__).resolve().parent
POINTERS = [
    "/responseElements/ConsoleLogin",
    "/requestParameters/ipPermissions/items/0/ipRanges/items/0/cidrIp",
    "/requestParameters/ipPermissions/items/0/fromPort",
    "/responseElements/instancesSet/items/2/imageId",
    "/eventContext/requestContext/aws:SourceIp",
    "/resources/1",
    "/requestParameters/key",
]


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    wanted = {}
    for path, container, records in story.FILES:
        text = wrap(container, records)
        wanted[f"logs/{path}"] = compress(container, text)
        wanted[f"expected/{path}.fields.json"] = expected(path, container, text)
    wanted |= {f"malformed/{name}": data for name, (data, _, _) in damaged.FILES.items()}
    wanted["expected/malformed.json"] = as_json(
        {name: {"what": what, "delivered": ids} for name, (_, what, ids) in damaged.FILES.items()}
    )
    stale = [name for name, data in wanted.items() if not same(HERE / name, data)]
    present = [p for folder in ("logs", "malformed", "expected") for p in (HERE / folder).rglob("*") if p.is_file()]
    extra = [p for p in present if str(p.relative_to(HERE)) not in wanted]
    if check:
        for name in stale:
            print(f"testdata/{name} is not what generate.py writes: run python3 testdata/generate.py")
        for path in extra:
            print(f"testdata/{path.relative_to(HERE)} is not written by generate.py: delete it or add it to the story")
        sys.exit(1 if stale or extra else 0)
    for name in stale:
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(wanted[name])
    for path in extra:
        path.unlink()
    print(f"{len(wanted)} files, {len(stale)} of them written, {len(extra)} deleted")


def same(path, data):
    if not path.is_file():
        return False
    found = path.read_bytes()
    return found == data or (
        data[:2] == b"\x1f\x8b" == found[:2] and members(found) == members(data)
    )


def members(data):
    """What a gzip file yields, member by member, then how it ends."""
    out = []
    while data:
        inflater = zlib.decompressobj(31)
        try:
            out.append(inflater.decompress(data))
        except zlib.error as error:
            return out + [str(error), zlib.decompressobj(-15).decompress(data[10:])]
        if not inflater.eof:
            return out + ["cut off"]
        data = inflater.unused_data
    return out


def dumps(value, ascii_only=False, indent=None):
    """JSON as CloudTrail writes it: no white space, HTML-safe escapes in lower case."""
    raws = []

    def default(raw):
        raws.append(raw.text)
        return f"@raw{len(raws) - 1}@"

    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators, indent=indent, default=default)
    if indent is None:
        text = re.sub("[<>&='\u007f]", lambda match: f"\\u{ord(match.group()):04x}", text)
    return re.sub(r'"@raw(\d+)@"', lambda match: raws[int(match.group(1))], text)


def wrap(container, records):
    if container == "pretty":
        return dumps({"Records": records}, indent=2).encode() + b"\n"
    if container == "array":
        return ("[\n " + ",\n ".join(dumps(r) for r in records) + "\n]\n").encode()
    if container == "lines":
        return "".join(dumps(r) + "\n" for r in records).encode()
    if container == "single":
        return dumps(records[0]).encode()
    if container == "event bridge":
        return dumps({"version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602",
                      "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "account": story.AUDIT,
                      "time": "2026-01-14T10:05:02Z", "region": "us-east-1", "resources": [],
                      "detail": records[0]}).encode()
    if container == "digest":
        return dumps(records).encode()
    return dumps({"Records": records}, ascii_only=container == "gzip ascii").encode()


def compress(container, text):
    if container == "two gzip members":
        half = len(text) // 2
        return gzip.compress(text[:half], mtime=0) + gzip.compress(text[half:], mtime=0)
    return gzip.compress(text, mtime=0) if container.startswith("gzip") or container == "digest" else text


def expected(path, container, text):
    """For a person to review: where each record stands in the text, its time, its fields."""
    return as_json([described(node, Path(path).name) for node in record_nodes(container, text)])


def record_nodes(container, text):
    if container == "digest":
        return []
    if container == "lines":
        nodes, at = [], 0
        while at < len(text):
            nodes.append(reference.parse(text, at))
            at = reference.skip_whitespace(text, nodes[-1].end)
        return nodes
    whole = reference.parse(text)
    if container == "array":
        return whole.items
    if container == "single":
        return [whole]
    return [whole.member("detail")] if container == "event bridge" else whole.member("Records").items


def described(node, file_name):
    values = reference.fields(node)
    shown = dict(sorted(values.items()))
    for path in POINTERS:
        value = reference.pointer(node, path)
        if value is not None:
            shown[f"ct.value[{path}]"] = value
    return {
        "only_with_insights": values.get("ct.eventtype") == "AwsCloudTrailInsight",
        "start": node.start,
        "length": node.end - node.start,
        "timestamp": reference.timestamp(node, file_name),
        "string": reference.event_to_string(values),
        "fields": shown,
    }


def as_json(value):
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


if __name__ == "__main__":
    main()
