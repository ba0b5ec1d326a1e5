#!/usr/bin/env python3
"""Draws a terminal session as SVG: reads the transcript from stdin, writes the picture to stdout.

A line that starts with "$ " is a command; every other line is output. The same transcript always gives the
same bytes. `UPDATE_DOCS=1 cargo test --test readme` runs this script on the real output of the commands.
"""
import re
import sys
from xml.sax.saxutils import escape

COLUMNS = 124
FONT_SIZE = 13
CELL_WIDTH = 7.8  # advance of common monospace fonts at FONT_SIZE
LINE_HEIGHT = 19
MARGIN = 16
TITLE_HEIGHT = 34

BACKGROUND = "#1b1f27"
TITLE_BAR = "#2a2f3a"
TEXT = "#d5dae3"
DIM = "#7d8799"
GREEN = "#8fca7a"
YELLOW = "#e6c07b"
RED = "#ef7a85"
BLUE = "#7fb4f0"

# The first group that matches decides the color.
HIGHLIGHTS = re.compile(
    r"(?P<time>^\d{4}-\d\d-\d\dT[\d:.]+Z)|(?P<failed>!\u2190|!\u2192)|(?P<change>\u2192)|(?P<read>\u2190)"
    r"|(?P<error>ct\.error=\S+)|(?P<key>(?<=\s)[A-Za-z0-9.]+=)"
)
COLORS = {"time": DIM, "failed": RED, "change": YELLOW, "read": GREEN, "error": RED, "key": BLUE}


def pieces(line):
    """Splits a line into (text, color, bold)."""
    if line.startswith("$ "):
        return [("$ ", GREEN, True), (line[2:], TEXT, True)]
    parts, end = [], 0
    for match in HIGHLIGHTS.finditer(line):
        if match.start() > end:
            parts.append((line[end:match.start()], TEXT, False))
        parts.append((match.group(), COLORS[match.lastgroup], False))
        end = match.end()
    if end < len(line):
        parts.append((line[end:], TEXT, False))
    return parts


def wrap(parts):
    """Breaks a line at COLUMNS, as a terminal does."""
    rows, used = [[]], 0
    for text, color, bold in parts:
        while text:
            if used == COLUMNS:
                rows.append([])
                used = 0
            head = text[: COLUMNS - used]
            rows[-1].append((head, color, bold))
            used += len(head)
            text = text[len(head):]
    return rows


def span(text, color, bold):
    weight = ' font-weight="bold"' if bold else ""
    return f'<tspan fill="{color}"{weight}>{escape(text)}</tspan>'


def main():
    transcript = sys.stdin.buffer.read().decode("utf-8")
    rows = [row for line in transcript.splitlines() for row in wrap(pieces(line))]
    width = round(2 * MARGIN + COLUMNS * CELL_WIDTH)
    height = TITLE_HEIGHT + 2 * MARGIN + len(rows) * LINE_HEIGHT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="Terminal session">',
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
        f'<path d="M0 {TITLE_HEIGHT}V8a8 8 0 0 1 8-8h{width - 16}a8 8 0 0 1 8 8v{TITLE_HEIGHT - 8}z" '
        f'fill="{TITLE_BAR}"/>',
    ]
    for place, color in enumerate((RED, YELLOW, GREEN)):
        out.append(f'<circle cx="{20 + 20 * place}" cy="{TITLE_HEIGHT // 2}" r="6" fill="{color}"/>')
    out.append(
        f'<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" '
        f'font-size="{FONT_SIZE}" xml:space="preserve">'
    )
    for number, row in enumerate(rows):
        y = TITLE_HEIGHT + MARGIN + number * LINE_HEIGHT + FONT_SIZE
        spans = "".join(span(*part) for part in row)
        out.append(f'<text x="{MARGIN}" y="{y}">{spans}</text>')
    out.append("</g>\n</svg>")
    sys.stdout.buffer.write(("\n".join(out) + "\n").encode("utf-8"))


if __name__ == "__main__":
    main()
