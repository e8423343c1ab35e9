"""The operations of a contradiction as a picture and as text: rows are processes, x is the time of the run.

Here belongs drawing a handful of operations; which ones contradict each other is the checker's business
(`Evidence.indexes`). Long stretches in which none of them begins or ends are cut short, and marked with their length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markupsafe import Markup

from checker.faults import FaultSummary
from reports.canvas import FAMILY_COLOURS, OUTCOME_COLOURS, fault_span_s
from reports.run_record import Operation
from reports.wording import clock, duration, operation_text, printable

__all__ = ["OPERATIONS_MAX", "text_timeline", "timeline_svg"]

OPERATIONS_MAX = 40
"""More than that no eye follows; the last ones are kept, because the contradiction is the last."""
WIDTH, LEFT, RIGHT = 1000.0, 120.0, 40.0
BOX, LABEL_ROW, LANE_GAP, TOP, BOTTOM = 16.0, 15.0, 12.0, 34.0, 40.0
CHARACTER = 6.9
"""Width of one character of the labels' fixed-width font at 11 px."""
STRETCH_MEDIANS_MAX = 6.0
"""A stretch longer than this many medians is cut to it."""
STRETCH_MIN = 3.0
"""Endpoints of nearly the same instant still have an order that must be seen."""
BOX_WIDTH_MIN = 2.0
"""Less than `STRETCH_MIN`: a box never reaches past the next endpoint."""
CONTRADICTION_COLOUR = "#d1401f"


def text_timeline(operations: Sequence[Operation]) -> tuple[str, ...]:
    """One line per operation in order of invocation; the last given is marked as the contradiction."""
    shown = _shown(operations)
    lines = []
    for operation in sorted(shown, key=lambda each: (each.call_ns, each.index)):
        end = "(open)" if operation.return_ns is None else f"{operation.return_ns / 1e9:.3f} s"
        mark = "✗" if operation is shown[-1] else " "
        who = f"process {operation.process}" + (f" at {printable(operation.node)}" if operation.node else "")
        suffix = "   ← contradiction" if operation is shown[-1] else ""
        times = f"{operation.call_ns / 1e9:>8.3f} .. {end:<10}"
        lines.append(f"{mark} {times}  {who:<18} {operation_text(operation)}{suffix}")
    return tuple(lines)


def timeline_svg(operations: Sequence[Operation], faults: Sequence[FaultSummary], *, end_ns: int) -> str:
    """The operations as one `<svg>` element. The last given is the contradiction; needs one."""
    shown = _shown(operations)
    axis = _Axis.of(shown, end_ns)
    lanes, height = _lanes(shown, axis)
    parts = [_fault_shades(faults, axis, height, end_ns), _breaks(axis, height), _ticks(shown, axis, height)]
    parts += [_lane_name(lane) for lane in lanes]
    parts += [_box(placed, axis, shown[-1]) for lane in lanes for placed in lane.placed]
    title = f"Timeline of {len(shown)} operations; the contradiction is {operation_text(shown[-1])}"
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" role="img" '
        'font-family="ui-monospace, monospace" font-size="11" fill="currentColor"><title>{}</title>{}</svg>\n'
    ).format(WIDTH, height, title, Markup("").join(parts))


def _shown(operations: Sequence[Operation]) -> Sequence[Operation]:
    return operations[-OPERATIONS_MAX:]


# ── the axis ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Axis:
    """Time to x, linear between `times_ns`; `cut` names the stretches that are drawn shorter than they are."""

    times_ns: tuple[int, ...]
    xs: tuple[float, ...]
    cut: tuple[int, ...]

    @classmethod
    def of(cls, operations: Sequence[Operation], end_ns: int) -> _Axis:
        times = {operation.call_ns for operation in operations}
        times |= {operation.return_ns for operation in operations if operation.return_ns is not None}
        ordered = sorted(times)
        if len(ordered) < 2:
            ordered.append(max(end_ns, ordered[0] + 1))
        lengths = [after - before for before, after in pairwise(ordered)]
        limit = STRETCH_MEDIANS_MAX * sorted(lengths)[len(lengths) // 2]
        drawn = [min(length, limit) for length in lengths]
        scale = (WIDTH - LEFT - RIGHT - STRETCH_MIN * len(drawn)) / sum(drawn)
        xs = list(accumulate((STRETCH_MIN + length * scale for length in drawn), initial=LEFT))
        return cls(tuple(ordered), tuple(xs), tuple(i for i, length in enumerate(lengths) if length > limit))

    def x(self, time_ns: int) -> float:
        """Position of an instant; instants outside lie on the edges."""
        if time_ns <= self.times_ns[0]:
            return self.xs[0]
        if time_ns >= self.times_ns[-1]:
            return self.xs[-1]
        place = bisect_right(self.times_ns, time_ns) - 1
        begin, end = self.times_ns[place], self.times_ns[place + 1]
        return self.xs[place] + (self.xs[place + 1] - self.xs[place]) * (time_ns - begin) / (end - begin)


def _ticks(operations: Sequence[Operation], axis: _Axis, height: float) -> Markup:
    """Times of the endpoints below the lanes, as many as there is room for."""
    y = height - BOTTOM + 8
    parts = [_line(LEFT, y, WIDTH - RIGHT, y)]
    free_from = 0.0
    for time_ns, x in zip(axis.times_ns, axis.xs, strict=True):
        parts.append(_line(x, y, x, y + 4))
        if x - 30 >= free_from:
            parts.append(
                Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(x, y + 16, clock(time_ns))
            )
            free_from = x + 38
    return Markup("").join(parts)


def _breaks(axis: _Axis, height: float) -> Markup:
    parts = []
    for place in axis.cut:
        x = (axis.xs[place] + axis.xs[place + 1]) / 2
        length = duration((axis.times_ns[place + 1] - axis.times_ns[place]) / 1e9)
        parts.append(
            Markup(
                '<path d="M{0:.1f} {1}V{2:.1f}" stroke="currentColor" stroke-opacity=".35" stroke-dasharray="2 4"/>'
                '<text x="{0:.1f}" y="{3:.1f}" text-anchor="middle" opacity=".75">// {4} //</text>'
            ).format(x, TOP - 6, height - BOTTOM + 8, height - BOTTOM + 34, length)
        )
    return Markup("").join(parts)


def _line(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="currentColor" stroke-opacity=".5"/>').format(
        x1, y1, x2, y2
    )


def _fault_shades(faults: Sequence[FaultSummary], axis: _Axis, height: float, end_ns: int) -> Markup:
    parts = []
    free_from = 0.0
    for fault in faults:
        span = fault_span_s(fault, end_ns / 1e9)
        if span is None or span[1] * 1e9 < axis.times_ns[0] or span[0] * 1e9 > axis.times_ns[-1]:
            continue
        begin, end = axis.x(round(span[0] * 1e9)), axis.x(round(span[1] * 1e9))
        colour = FAMILY_COLOURS.get(fault.family, "#7f7f7f")
        parts.append(
            Markup('<rect x="{:.1f}" y="{}" width="{:.1f}" height="{:.1f}" fill="{}" fill-opacity=".13"/>').format(
                begin, TOP - 6, max(end - begin, 1.5), height - TOP - BOTTOM + 14, colour
            )
        )
        if begin >= free_from:
            label = printable(f"{fault.kind} {' '.join(fault.resolved)}").strip()
            parts.append(Markup('<text x="{:.1f}" y="{}" fill="{}">{}</text>').format(begin, TOP - 12, colour, label))
            free_from = begin + CHARACTER * (len(label) + 2)
    return Markup("").join(parts)


# ── lanes and boxes ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Placed:
    operation: Operation
    label: str
    label_x: float
    label_y: float
    box_y: float


@dataclass(frozen=True, slots=True)
class _Lane:
    name: str
    y: float
    placed: tuple[_Placed, ...]


def _lanes(operations: Sequence[Operation], axis: _Axis) -> tuple[list[_Lane], float]:
    """Lanes from top to bottom, in the order in which processes first appear in time, and the picture's height."""
    in_time = sorted(operations, key=lambda each: (each.call_ns, each.index))
    lanes: list[_Lane] = []
    y = TOP
    for process in dict.fromkeys(each.process for each in in_time):
        own = [each for each in in_time if each.process == process]
        labels = [_label(each, operations[-1]) for each in own]
        rows = _rows([axis.x(each.call_ns) for each in own], labels)
        box_y = y + LABEL_ROW * (1 + max(row for row, _ in rows))
        placed = [
            _Placed(each, label, x, box_y - 4 - LABEL_ROW * row, box_y)
            for each, label, (row, x) in zip(own, labels, rows, strict=True)
        ]
        node = own[0].node
        lanes.append(_Lane(f"process {process}" + (f" · {node}" if node else ""), box_y + BOX - 4, tuple(placed)))
        y = box_y + BOX + LANE_GAP
    return lanes, y + BOTTOM


def _label(operation: Operation, contradiction: Operation) -> str:
    return ("✗ contradiction: " if operation is contradiction else "") + operation_text(operation)


def _rows(begins: Sequence[float], labels: Sequence[str]) -> list[tuple[int, float]]:
    """Row above the boxes and left edge of each label, such that no two labels overlap."""
    free_from: list[float] = []
    rows = []
    for begin, label in zip(begins, labels, strict=True):
        width = CHARACTER * len(label)
        x = max(LEFT, min(begin, WIDTH - width))
        row = next((row for row, free in enumerate(free_from) if free <= x), len(free_from))
        if row == len(free_from):
            free_from.append(0.0)
        free_from[row] = x + width + CHARACTER
        rows.append((row, x))
    return rows


def _lane_name(lane: _Lane) -> Markup:
    return Markup('<text x="0" y="{:.1f}">{}</text>').format(lane.y, printable(lane.name))


def _box(placed: _Placed, axis: _Axis, contradiction: Operation) -> Markup:
    operation = placed.operation
    begin = axis.x(operation.call_ns)
    end = WIDTH if operation.return_ns is None else axis.x(operation.return_ns)
    wrong = operation is contradiction
    colour = CONTRADICTION_COLOUR if wrong else OUTCOME_COLOURS[operation.outcome]
    dashes = Markup(' stroke-dasharray="4 3"') if operation.outcome == "info" else Markup("")
    return Markup(
        '<g><title>{}</title><rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="3" fill="{}" fill-opacity="{}" '
        'stroke="{}" stroke-width="{}"{}/><text x="{:.1f}" y="{:.1f}"{}>{}</text></g>'
    ).format(
        _tooltip(operation), begin, placed.box_y, max(end - begin, BOX_WIDTH_MIN), BOX, colour,
        ".45" if wrong else ".25", colour, 2.5 if wrong else 1, dashes, placed.label_x, placed.label_y,
        Markup(' font-weight="bold"') if wrong else Markup(""), placed.label,
    )  # fmt: skip


def _tooltip(operation: Operation) -> str:
    took = "still open" if operation.return_ns is None else duration((operation.return_ns - operation.call_ns) / 1e9)
    error = f"; {printable(operation.error)}" if operation.error else ""
    position = f"; log position {operation.position}" if operation.position else ""
    what = f"#{operation.index} {operation_text(operation)}"
    return f"{what}; invoked at {clock(operation.call_ns)}; {took}{error}{position}"
