"""Draws two pins that change at the same places of a print, and how far apart they are, as SVG."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import statistics
from html import escape
from typing import Dict, List, Tuple

from .trace import Change

WIDTH, HEIGHT = 900, 470
LEFT, RIGHT = 70.0, 880.0
COLORS = ("#1f6fb4", "#d1542a")
TALL = 44.0  # of a pin that is on
LIMIT = 0.5  # milliseconds: the band of the lower parts
REACH = 1.0  # milliseconds that they show to both sides

Point = Tuple[float, float]


def draw(pins: Dict[str, List[Change]], caption: str) -> str:
    """Two pins, by name, with as many changes each; a picture in three parts."""
    first, second = pins.values()
    offsets = [(other.time - own.time) * 1e3 for own, other in zip(first, second)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(WIDTH / 2, 24, caption, "middle", 15),
        *_print(pins),
        *_one_change(pins, offsets),
        *_all_offsets(offsets),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _print(pins: Dict[str, List[Change]]) -> List[str]:
    """The upper part: the whole print."""
    changes = [change for pin in pins.values() for change in pin]
    begin = min(change.time for change in changes) - 0.5
    end = max(change.time for change in changes) + 0.5
    scale = (RIGHT - LEFT) / (end - begin)
    parts = []
    for row, (name, pin) in enumerate(pins.items()):
        bottom = 120.0 + row * 78.0
        steps = [(LEFT + (change.time - begin) * scale, change.value) for change in pin]
        parts.append(_text(LEFT, bottom - TALL - 8, name, color=COLORS[row]))
        parts.append(_trace(steps, bottom, LEFT, RIGHT, COLORS[row]))
    axis = 214.0
    parts.append(_line((LEFT, axis), (RIGHT, axis), "#999"))
    for second in range(int(end - begin) + 1):
        x = LEFT + second * scale
        parts.append(_line((x, axis), (x, axis + 5), "#999"))
        parts.append(_text(x, axis + 19, f"{second} s" if second == 0 else str(second), "middle"))
    return parts


def _one_change(pins: Dict[str, List[Change]], offsets: List[float]) -> List[str]:
    """The lower left part: the change whose distance is the median, enlarged."""
    left, right, bottom = LEFT, 430.0, 420.0
    distances = [abs(offset) for offset in offsets]
    number = distances.index(statistics.median_high(distances))
    first, _second = pins.values()
    middle, scale = (left + right) / 2, (right - left) / (2 * REACH)
    parts = [_text(left, 268, f"Change {number + 1}, enlarged (a usual one)"), *_band(left, right)]
    for row, pin in enumerate(pins.values()):
        change = pin[number]
        x = middle + (change.time - first[number].time) * 1e3 * scale
        parts.append(_line((x, 288), (x, bottom - 8), COLORS[row], 2.5))
    return parts


def _all_offsets(offsets: List[float]) -> List[str]:
    """The lower right part: a dot for every change."""
    left, right = 500.0, RIGHT
    middle, scale = (left + right) / 2, (right - left) / (2 * REACH)
    parts = [_text(left, 268, "The second minus the first, all changes"), *_band(left, right)]
    for row, offset in enumerate(offsets):
        x = middle + max(-REACH, min(REACH, offset)) * scale
        y = 290.0 + row * 120.0 / len(offsets)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLORS[1]}"/>')
    return parts


def _band(left: float, right: float) -> List[str]:
    """The axis of a lower part, in milliseconds, and the band within LIMIT."""
    middle, scale = (left + right) / 2, (right - left) / (2 * REACH)
    width = 2 * LIMIT * scale
    parts = [
        f'<rect x="{middle - LIMIT * scale:.1f}" y="280" width="{width:.1f}" height="140"'
        ' fill="#e9f3e6"/>',
        _line((left, 420), (right, 420), "#999"),
        _line((middle, 280), (middle, 420), "#bbb"),
    ]
    for step in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x = middle + step * REACH * scale
        parts.append(_line((x, 420), (x, 425), "#999"))
        parts.append(_text(x, 440, f"{step * REACH:g}" + (" ms" if step == 1.0 else ""), "middle"))
    return parts


def _trace(
    steps: List[Tuple[float, int]], bottom: float, left: float, right: float, color: str
) -> str:
    """A pin, on or off, as a line; it is off before the first step."""
    points: List[Point] = [(left, bottom)]
    for x, value in steps:
        points.append((x, points[-1][1]))
        points.append((x, bottom - TALL if value else bottom))
    points.append((right, points[-1][1]))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'


def _line(begin: Point, end: Point, color: str, width: float = 1.0) -> str:
    return (
        f'<line x1="{begin[0]:.1f}" y1="{begin[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        f' stroke="{color}" stroke-width="{width:g}"/>'
    )


def _text(
    x: float, y: float, text: str, anchor: str = "start", size: int = 13, color: str = "#333"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">'
        f"{escape(text)}</text>"
    )
