"""What became of each element of a set: was it visible for good, only late, lost, or never seen?

After Jepsen's `set-full` (jepsen.checker): an element is *known* from the first moment at which its addition was
acknowledged or a read showed it. It is *stable* if some read shows it and no later one lacks it, *lost* if reads that
began after it was known lack it and none shows it any more, *never read* if no read can tell. A stable element that a
read lacked after it was known was *stale*. Linearizable sets have neither lost nor stale elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from checker.findings import Finding, by_key, conclude, is_ok, told
from checker.history import Operation, freeze
from checker.model import describe_value
from checker.records import CheckResult
from checker.statistics import quantile

__all__ = ["ANOMALIES", "NAME", "check_set_full"]

NAME = "set-full"
ANOMALIES = (
    ("lost-element", "reads that began after the element was known lack it, and none shows it any more"),
    ("stale-element", "a read that began after the element was known lacked it; later ones show it"),
    ("duplicate-element", "a read lists an element twice"),
)
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


@dataclass(slots=True)
class _Element:
    """What is known of one element."""

    value: Any
    add: Operation
    known_order: int | None = None
    known_ns: int = 0
    present: Operation | None = None
    """Of the reads that show it, the one called last."""
    absent: Operation | None = None
    """Of the reads that lack it, the one called last."""

    def learn(self, witness: Operation) -> None:
        """It was acknowledged or seen when `witness` returned."""
        order = witness.return_order
        if order is not None and (self.known_order is None or order < self.known_order):
            self.known_order, self.known_ns = order, witness.return_ns or 0

    def lacked_after_known(self) -> bool:
        return self.absent is not None and self.known_order is not None and self.known_order < self.absent.call_order

    def is_shown_last(self) -> bool:
        if self.present is None:
            return False
        return self.absent is None or self.absent.call_order < self.present.call_order


def check_set_full(operations: Sequence[Operation]) -> CheckResult:
    """Judge every set of `add` and `read` operations.

    Figures: `stable`, `lost`, `stale`, `never_read` and `crashed_but_seen` (counts), `stable_latency_ns` (from known to
    visible for good: quantiles over stable elements), `lost_latency_ns` (from known to the last read that lacks it).
    """
    findings: list[Finding] = []
    counts = dict.fromkeys(("stable", "lost", "stale", "never_read", "crashed_but_seen"), 0)
    stable_ns: list[int] = []
    lost_ns: list[int] = []
    for group in by_key(operations).values():
        findings += _twice(group)
        for element in _elements(group):
            _judge(element, findings, counts, stable_ns, lost_ns)
    figures = {**counts, "stable_latency_ns": _quantiles(stable_ns), "lost_latency_ns": _quantiles(lost_ns)}
    well = f"{counts['stable']} elements stable, none lost or stale, {counts['never_read']} never read"
    return conclude(NAME, ANOMALIES, findings, well=well, figures=figures)


def _judge(
    element: _Element, findings: list[Finding], counts: dict[str, int], stable_ns: list[int], lost_ns: list[int]
) -> None:
    if element.is_shown_last():
        counts["stable"] += 1
        counts["crashed_but_seen"] += not is_ok(element.add)
        absent_ns = -1 if element.absent is None else element.absent.call_ns
        stable_ns.append(max(0, absent_ns + 1 - element.known_ns))
        if element.lacked_after_known():
            counts["stale"] += 1
            findings.append(_finding("stale-element", element))
    elif element.lacked_after_known():
        counts["lost"] += 1
        assert element.absent is not None
        lost_ns.append(max(0, element.absent.call_ns - element.known_ns))
        findings.append(_finding("lost-element", element))
    elif is_ok(element.add):
        counts["never_read"] += 1


def _finding(anomaly: str, element: _Element) -> Finding:
    absent = element.absent
    assert absent is not None
    lacking = f"process {absent.process} read the set (key {describe_value(absent.key)}) without it"
    at = "" if absent.return_ns is None else f" at {absent.return_ns / 1e9:.3f} s"
    sentence = f"{describe_value(element.value)} was known at {element.known_ns / 1e9:.3f} s, but {lacking}{at}"
    return Finding(anomaly, sentence, (element.add, absent))


def _elements(group: Sequence[Operation]) -> list[_Element]:
    adds = [one for one in group if one.f == "add"]
    elements = {freeze(add.value): _Element(add.value, add) for add in adds}
    for add in adds:
        if is_ok(add):
            elements[freeze(add.value)].learn(add)
    for read in (one for one in group if one.f == "read" and is_ok(one)):
        shown = set(map(freeze, read.result))
        for value, element in elements.items():
            if value in shown:
                element.learn(read)
                if element.present is None or read.call_order > element.present.call_order:
                    element.present = read
            elif element.absent is None or read.call_order > element.absent.call_order:
                element.absent = read
    return list(elements.values())


def _twice(group: Sequence[Operation]) -> list[Finding]:
    found = []
    for read in (one for one in group if one.f == "read" and is_ok(one)):
        listed = list(map(freeze, read.result))
        if len(set(listed)) < len(listed):
            found.append(Finding("duplicate-element", f"{told(read)}, which lists an element twice", (read,)))
    return found


def _quantiles(values: list[int]) -> dict[str, int]:
    values.sort()
    return {name: quantile(values, share) for name, share in QUANTILES} if values else {}
