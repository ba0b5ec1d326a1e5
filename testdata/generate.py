#!/usr/bin/env python3
"""Writes the sample logs and the expected values of all their fields.

    python3 testdata/generate.py            write logs/, malformed/ and expected/
    python3 testdata/generate.py --check    fail if the existing files differ

Deterministic; needs only the standard library. Gzip files are compared by their
decompressed content, because the output of zlib depends on its version. A gzip
file with the right content is not rewritten.
"""

import gzip
import json
from pathlib import Path
import re
import sys
import zlib

sys.dont_write_bytecode = True

import damaged  # noqa: E402, after the line above, which keeps compiled files out of this directory
import json_nodes  # noqa: E402
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
    "/requestParameters/maxResults",
]
PATTERNS = [
    "/requestParameters/ipPermissions/items/*/ipRanges/items/*/cidrIp",
    "/responseElements/instancesSet/items/*/imageId",
    "/requestParameters/tagSpecificationSet/items/*/tags/*/value",
    "/resources/*/*",
    "/requestParameters/key",
]


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    files = {}
    for path, container, records in story.FILES:
        text = wrap(container, records)
        files[f"logs/{path}"] = compress(container, text)
        files[f"expected/{path}.fields.json"] = expected(path, container, text)
    files |= {f"malformed/{name}": data for name, (data, _, _) in damaged.FILES.items()}
    files["expected/malformed.json"] = as_json(
        {name: {"what": what, "delivered": ids} for name, (_, what, ids) in damaged.FILES.items()}
    )
    stale = [name for name, data in files.items() if not is_current(HERE / name, data)]
    existing = [p for top in ("logs", "malformed", "expected") for p in (HERE / top).rglob("*") if p.is_file()]
    extra = [p for p in existing if str(p.relative_to(HERE)) not in files]
    if check:
        for name in stale:
            print(f"testdata/{name} differs from the output of generate.py: run python3 testdata/generate.py")
        for path in extra:
            print(f"testdata/{path.relative_to(HERE)} is not written by generate.py: delete it or add it to story.py")
        sys.exit(1 if stale or extra else 0)
    for name in stale:
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(files[name])
    for path in extra:
        path.unlink()
    print(f"{len(files)} files, {len(stale)} of them written, {len(extra)} deleted")


def is_current(path, data):
    """Whether the file exists with the content `data`; gzip files are compared decompressed."""
    if not path.is_file():
        return False
    existing = path.read_bytes()
    return existing == data or (
        data[:2] == b"\x1f\x8b" == existing[:2] and members(existing) == members(data)
    )


def members(data):
    """The decompressed members of a gzip file, followed by its error if it is damaged."""
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
    """JSON as CloudTrail writes it: without white space, with HTML-safe escapes in lower case."""
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
    """The text of a log file of the form `container`."""
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
    """The expected position, timestamp and fields of each record, formatted for review."""
    return as_json([expected_event(node, Path(path).name) for node in record_nodes(container, text)])


def record_nodes(container, text):
    if container == "digest":
        return []
    if container == "lines":
        nodes, at = [], 0
        while at < len(text):
            nodes.append(json_nodes.parse(text, at))
            at = json_nodes.skip_whitespace(text, nodes[-1].end)
        return nodes
    whole = json_nodes.parse(text)
    if container == "array":
        return whole.items
    if container == "single":
        return [whole]
    return [whole.member("detail")] if container == "event bridge" else whole.member("Records").items


def expected_event(node, file_name):
    values = reference.fields(node)
    by_name = dict(sorted(values.items()))
    for path in POINTERS:
        value = reference.pointer(node, path)
        if value is not None:
            by_name[f"ct.value[{path}]"] = value
        value = reference.pointer_number(node, path)
        if value is not None:
            by_name[f"ct.num[{path}]"] = value
    for path in PATTERNS:
        value = reference.pointer_list(node, path)
        if value is not None:
            by_name[f"ct.values[{path}]"] = value
    return {
        "only_with_insights": values.get("ct.eventtype") == "AwsCloudTrailInsight",
        "start": node.start,
        "length": node.end - node.start,
        "timestamp": reference.timestamp(node, file_name),
        "string": reference.event_to_string(values),
        "fields": by_name,
    }


def as_json(value):
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


if __name__ == "__main__":
    main()
