"""How values, durations and operations are written for people: one way, on every page.

Here belongs text for single things. Sentences about a whole run are `reports.headline`. History values come from the
system under test and are not trusted: everything shown passes `printable`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from reports.run_record import Operation

__all__ = ["clock", "counted", "duration", "operation_text", "percent", "printable", "value_text"]

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
"""Characters that XML forbids, that reorder text on the screen, or that nobody sees."""
VALUE_LENGTH_MAX = 60
TEXT_LENGTH_MAX = 4000


def printable(text: str, *, length_max: int = TEXT_LENGTH_MAX) -> str:
    """`text` with control and bidirectional characters written as escapes; cut at `length_max`, visibly."""
    clean = _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    return clean if len(clean) <= length_max else f"{clean[:length_max]}… ({len(clean):,} characters)"


def value_text(value: Any, *, length_max: int = VALUE_LENGTH_MAX) -> str:
    """A JSON value on one line; a plain string without quotes where that is not ambiguous."""
    if isinstance(value, str) and re.fullmatch(r"[\w.:/-]+", value, re.ASCII) and not value[0].isdigit():
        text = value
    else:
        text = msgspec.json.encode(value).decode()
    text = printable(text)
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def operation_text(operation: Operation) -> str:
    """`write x 3`, `read x → 3`, `cas x [1,2] → fail`, `write x 5 → ?` (open)."""
    words = [printable(operation.f)]
    words += [value_text(part) for part in (operation.key, operation.argument) if part is not None]
    match operation.outcome:
        case "ok":
            if operation.argument is None or operation.result not in (None, operation.argument):
                words += ["→", value_text(operation.result)]
        case "fail":
            words += ["→", "fail"]
        case "info":
            words += ["→", "?"]
    return " ".join(words)


def duration(seconds: float) -> str:
    """Three significant digits and a unit from µs to s; whole seconds above 100 s."""
    if seconds >= 100:
        return f"{seconds:,.0f}\u00a0s"
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 0.9995 or unit == "µs":
            return f"{seconds * factor:.3g}\u00a0{unit}"
    raise AssertionError("the loop ends with its last unit")


def clock(time_ns: int) -> str:
    """An instant of the run in seconds with milliseconds, such as `12.401 s`."""
    return f"{time_ns / 1e9:.3f}\u00a0s"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 key`, `24 keys`, `1,200 operations`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def percent(part: float, whole: float) -> str:
    """A share in whole per cent; 99.9… never rounds up to 100, and a trace of something never down to 0."""
    if not whole:
        return "n/a"
    share = 100 * part / whole
    if 0 < share < 1:
        return "<\u00a01\u00a0%"
    rounded = min(round(share), 99) if part < whole else 100
    return f"{rounded}\u00a0%"
