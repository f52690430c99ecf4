"""The chart of `docs/performance.md`: how many times more each peer takes, as bars on a logarithmic scale, in SVG."""

import math
import statistics
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.loads import By
from bench.tables import BY, OURS, Found, ratios

WIDTH, LABEL, ROW, BAR, TOP = 900, 330, 20, 14, 56
# From a tenth, where a peer is ten times better, to a thousand times worse: what is beyond is cut off there, and its
# number says so.
FROM, TO = 0.1, 1000.0
TICKS = (0.1, 1, 10, 100, 1000)

# Readable on both: GitHub shows an SVG on the reader's own background.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.quiet { fill: #59636e }
.grid { stroke: #d1d9e0 } .one { stroke: #1f2328; stroke-width: 1.5 }
.nchan { fill: #bc4c00 } .redis { fill: #8250df } .textbook { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .quiet { fill: #9198a1 }
  .grid { stroke: #3d444d } .one { stroke: #f0f6fc }
  .nchan { fill: #f0883e } .redis { fill: #ab7df8 } .textbook { fill: #4493f8 }
}
"""
COLOURS = {"nchan": "nchan", "nchan+redis": "redis", "textbook": "textbook"}


def chart(found: Found) -> str:
    """Return the SVG: for each load and each figure that it is for, a bar for each peer."""
    parts: list[str] = []
    y = TOP
    for name, load in found.items():
        for field in load["by"]:
            bars = _bars(load["who"], field)
            if not bars:
                continue
            parts.append(_text(LABEL - 12, y + 11, f"{name}: {BY[By(field)]}", anchor="end"))
            for who, ratio in bars:
                parts.append(_bar(who, ratio, y))
                y += ROW
            y += 8
    height = y + 12
    grid = [_tick(tick, height) for tick in TICKS]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>What each peer takes, in multiples of what Holdfast takes</title><style>{STYLE}</style>"
        + "".join([*_legend(found), *grid, *parts])
        + "</svg>\n"
    )


def _bars(who: dict[str, dict[str, list[float]]], field: str) -> Sequence[tuple[str, float]]:
    ours = who.get(OURS, {})
    return [
        (peer, statistics.median(found))
        for peer, theirs in who.items()
        if peer != OURS
        and "failed" not in theirs
        and "failed" not in ours
        and (found := ratios(ours, theirs, field))
    ]


def _bar(who: str, ratio: float, y: float) -> str:
    start, end = _x(1.0), _x(ratio)
    left, width = min(start, end), max(abs(end - start), 1.0)
    shown = f"{ratio:.3g}x"
    colour = COLOURS.get(who, "nchan")
    return (
        f'<rect class="{colour}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        + _text(max(start, end) + 6, y + 11, shown)
    )


def _tick(at: float, height: float) -> str:
    x = _x(at)
    name = "one" if at == 1 else "grid"
    return (
        f'<line class="{name}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 8}"/>'
        + _text(x, TOP - 14, f"{at:g}x", anchor="middle", quiet=True)
    )


def _legend(found: Found) -> list[str]:
    peers = dict.fromkeys(who for load in found.values() for who in load["who"] if who != OURS)
    parts = [_text(LABEL, 16, "right of 1x: Holdfast takes less", quiet=True)]
    for at, who in enumerate(peers):
        x = 12 + at * 110
        parts.append(
            f'<rect class="{COLOURS.get(who, "nchan")}" x="{x}" y="6" width="12" height="12" rx="2"/>'
            + _text(x + 18, 16, who)
        )
    return parts


def _x(ratio: float) -> float:
    share = (math.log10(min(max(ratio, FROM), TO)) - math.log10(FROM)) / (
        math.log10(TO) - math.log10(FROM)
    )
    return LABEL + share * (WIDTH - LABEL - 60)


def _text(x: float, y: float, text: str, *, anchor: str = "start", quiet: bool = False) -> str:
    named = ' class="quiet"' if quiet else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
