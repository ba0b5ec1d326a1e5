"""A JSON reader for the reference.

It keeps what the module `json` discards: the text of a number, the raw text of
a container and duplicate keys. It also reads some text that is not valid JSON.
"""

import re

WHITESPACE = b" \t\r\n"
ESCAPES = {
    ord('"'): '"', ord("\\"): "\\", ord("/"): "/", ord("b"): "\b",
    ord("f"): "\f", ord("n"): "\n", ord("r"): "\r", ord("t"): "\t",
}


class Node:
    """A JSON value: its kind, position and content."""

    def __init__(self, source, start):
        self.source, self.start, self.end = source, start, start
        self.kind = None      # object, array, string, number, true, false, null
        self.members = []     # of an object: (key text, Node), in file order
        self.items = []       # of an array
        self.string = None    # of a string: the unescaped text

    def raw(self):
        return self.source[self.start:self.end]

    def member(self, key):
        """The first member with the name `key`; None if there is none or the value is not an object."""
        for name, node in self.members:
            if name == key:
                return node
        return None


def parse(source, at=0):
    """The JSON value at `at`, after any white space."""
    at = skip_whitespace(source, at)
    node = Node(source, at)
    first = source[at:at + 1]
    if first == b"{":
        node.kind = "object"
        at = skip_whitespace(source, at + 1)
        while source[at:at + 1] != b"}":
            key = parse(source, at)
            at = skip_whitespace(source, key.end)
            expect(source, at, b":")
            value = parse(source, at + 1)
            node.members.append((key.string, value))
            at = skip_whitespace(source, value.end)
            if source[at:at + 1] == b",":
                at = skip_whitespace(source, at + 1)
            else:
                expect(source, at, b"}")
        node.end = at + 1
    elif first == b"[":
        node.kind = "array"
        at = skip_whitespace(source, at + 1)
        while source[at:at + 1] != b"]":
            value = parse(source, at)
            node.items.append(value)
            at = skip_whitespace(source, value.end)
            if source[at:at + 1] == b",":
                at = skip_whitespace(source, at + 1)
            else:
                expect(source, at, b"]")
        node.end = at + 1
    elif first == b'"':
        node.kind = "string"
        end = at + 1
        while source[end:end + 1] != b'"':
            if end >= len(source):
                raise ValueError(f"unterminated string at {at}")
            end += 2 if source[end:end + 1] == b"\\" else 1
        node.end = end + 1
        node.string = unescape(source[at + 1:end])
    else:
        end = at
        while end < len(source) and source[end] not in b' \t\r\n,:{}[]"':
            end += 1
        if end == at:
            raise ValueError(f"no value at {at}")
        node.end = end
        word = source[at:end].decode("utf-8", "replace")
        node.kind = word if word in ("true", "false", "null") else "number"
    return node


def skip_whitespace(source, at):
    while at < len(source) and source[at] in WHITESPACE:
        at += 1
    return at


def expect(source, at, byte):
    if source[at:at + 1] != byte:
        raise ValueError(f"expected {byte!r} at {at}")


def unescape(raw):
    """The text of a string. Lone surrogates and invalid UTF-8 become U+FFFD."""
    text, at, plain = "", 0, 0
    while at < len(raw):
        if raw[at:at + 1] != b"\\":
            at += 1
            continue
        text += raw[plain:at].decode("utf-8", "replace")
        unit = code_unit(raw, at)
        if unit is not None:
            at += 6
            if 0xD800 <= unit < 0xDC00:
                low = code_unit(raw, at)
                if low is not None and 0xDC00 <= low < 0xE000:
                    text += chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
                    at += 6
                else:
                    text += "\ufffd"
            elif 0xDC00 <= unit < 0xE000:
                text += "\ufffd"
            else:
                text += chr(unit)
        elif raw[at + 1] in ESCAPES:
            text += ESCAPES[raw[at + 1]]
            at += 2
        else:
            text += "\\"
            at += 1
        plain = at
    return text + raw[plain:].decode("utf-8", "replace")


def code_unit(raw, at):
    digits = raw[at + 2:at + 6]
    if raw[at:at + 2] == b"\\u" and re.fullmatch(rb"[0-9A-Fa-f]{4}", digits):
        return int(digits, 16)
    return None


def compact(node):
    """A container's JSON text without the white space between tokens."""
    out, in_string, escaped = bytearray(), False, False
    for byte in node.raw():
        if in_string:
            out.append(byte)
            if escaped:
                escaped = False
            elif byte == ord("\\"):
                escaped = True
            elif byte == ord('"'):
                in_string = False
        elif byte not in WHITESPACE:
            out.append(byte)
            in_string = byte == ord('"')
    return out.decode("utf-8", "replace")
