"""Draws a few operations as text: one row each, time from left to right, in a fixed-width font."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from checker.history import Operation

__all__ = ["ROWS_MAX", "draw"]

ROWS_MAX = 40
"""More operations than this are cut to the last ones."""

WIDTH = 48
"""Columns of the drawing."""


def draw(
    operations: Sequence[Operation], marked: Operation, describe: Callable[[Operation], str], *, timed: bool
) -> tuple[str, ...]:
    """Rows in the order of calls. The axis is the order of events, not their distance; `marked` gets an arrow."""
    shown = sorted(operations, key=lambda operation: operation.call_order)[-ROWS_MAX:]
    orders = sorted({rank for one in shown for rank in (one.call_order, one.return_order) if rank is not None})
    stride = max(2, min(8, (WIDTH - 1) // max(1, len(orders))))
    column = {rank: place * stride for place, rank in enumerate(orders)}
    width = (len(orders) - 1) * stride + 1
    names = [f"process {one.process}" + (f" at {one.node}" if one.node else "") for one in shown]
    labels = [describe(one) for one in shown]
    rows = []
    if len(shown) < len(operations):
        rows.append(f"… {len(operations) - len(shown)} earlier operations are not drawn")
    for one, name, label in zip(shown, names, labels, strict=True):
        bar = _bar(column[one.call_order], None if one.return_order is None else column[one.return_order], width)
        row = f"{name:<{max(map(len, names))}}  {bar}  {label:<{max(map(len, labels))}}"
        row += f"  {_span(one)}" if timed else f"  index {one.call_order}-{one.return_order}"
        rows.append(row.rstrip() + ("  <── contradiction" if one.index == marked.index else ""))
    return tuple(rows)


def _bar(start: int, end: int | None, width: int) -> str:
    if end is None:
        return " " * start + "├" + "─" * (width - start - 1) + "▶"
    return (" " * start + "├" + "─" * (end - start - 1) + "┤").ljust(width + 1)


def _span(operation: Operation) -> str:
    end = "?" if operation.return_ns is None else f"{operation.return_ns / 1e9:.3f}"
    return f"{operation.call_ns / 1e9:.3f}-{end} s"
