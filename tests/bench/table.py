"""The table, for the console and as Markdown."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time
from typing import Dict, Mapping, Optional

from . import rows
from .figures import Figure, Figures, ratio, written


def _cell(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.2f}"


def console(figures: Figures, missing: Mapping[str, str]) -> str:
    """All rows of one kind."""
    floor = figures.get(rows.FLOOR)
    lines = [f"{'':56} {'median':>10} {'p99':>10} {'x floor':>8} {'p99':>7} {'samples':>8}"]
    for row, label in rows.ALL.items():
        if row in missing:
            lines.append(f"{label:56} {missing[row]}")
        if row not in figures:
            continue
        figure = figures[row]
        lines.append(
            f"{label:56} {written(figure.median, figure.unit):>10}"
            f" {written(figure.p99, figure.unit):>10} {_cell(ratio(figure, floor)):>8}"
            f" {_cell(ratio(figure, floor, p99=True)):>7} {figure.samples:>8}"
        )
    return "\n".join(lines)


def markdown(all_figures: Mapping[str, Figures], command: str) -> str:
    """All rows and kinds: median / p99 (median in floors)."""
    kinds = list(all_figures)
    lines = [f"| {time.strftime('%Y-%m-%d')} | {' | '.join(kinds)} |"]
    lines.append("| --- |" + " --- |" * len(kinds))
    for row, label in rows.ALL.items():
        cells = [_markdown_cell(figures, row) for figures in all_figures.values()]
        if any(cells):
            lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += ["", f"Median / 99th percentile (median in floors). Repeat it with `{command}`."]
    return "\n".join(lines)


def _markdown_cell(figures: Dict[str, Figure], row: str) -> str:
    figure = figures.get(row)
    if figure is None:
        return ""
    cell = written(figure.median, figure.unit)
    if figure.p99 is not None:
        cell += f" / {written(figure.p99, figure.unit)}"
    in_floors = ratio(figure, figures.get(rows.FLOOR))
    if in_floors is not None and row != rows.FLOOR:
        cell += f" ({in_floors:.2f})"
    return cell
