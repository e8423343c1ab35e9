"""Did a lock keep what its leases promised? Nobody else may get it before a lease is over or was given back.

Real time decides here, as it does for users: a lease of 800 ms cannot be over before 800 ms have passed since its
holder asked for it, by one clock, the harness's. The clients of the run tell the system that same time. What the tokens
are good for is judged by the model `leased-lock`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from checker.findings import Finding, by_key, conclude, is_ok, told
from checker.history import Operation, Outcome
from checker.records import CheckResult

__all__ = ["ANOMALIES", "NAME", "check_leases"]

NAME = "leases"
ANOMALIES = (("two-holders", "a lock was given to somebody else while a lease on it cannot have been over"),)
MS = 1_000_000


def check_leases(operations: Sequence[Operation]) -> CheckResult:
    """Judge `acquire` (argument `[owner, lease in ms]`, result the token) and `release` (argument the token), per key.

    Figures: `granted`, `refused`, `released`, `ran_out` (granted and never given back with an answer).
    """
    findings: list[Finding] = []
    figures = dict.fromkeys(("granted", "refused", "released", "ran_out"), 0)
    for group in by_key(operations).values():
        grants = [one for one in group if one.f == "acquire" and is_ok(one)]
        releases = [one for one in group if one.f == "release" and one.outcome is not Outcome.FAIL]
        returned = sum(map(is_ok, releases))
        figures["granted"] += len(grants)
        figures["released"] += returned
        figures["ran_out"] += len(grants) - returned
        figures["refused"] += sum(one.f == "acquire" and one.outcome is Outcome.FAIL for one in group)
        findings += _broken(sorted(grants, key=lambda one: one.result), releases)
    well = f"{figures['granted']} acquisitions, no lease was broken; {figures['ran_out']} ran out"
    return conclude(NAME, ANOMALIES, findings, well=well, figures=figures)


def _broken(grants: Sequence[Operation], releases: Sequence[Operation]) -> list[Finding]:
    """Acquisitions in the order of their tokens: each by the next one's return. Nothing where tokens repeat."""
    if len({one.result for one in grants}) < len(grants):
        return []
    given_back = {one.value: one for one in releases}
    found = []
    for first, second in pairwise(grants):
        release = given_back.get(first.result)
        if release is not None and release.call_order < (second.return_order or 0):
            continue
        over_ns = first.call_ns + first.value[1] * MS
        if second.return_ns is not None and second.return_ns < over_ns:
            sentence = f"{told(second)}, but {told(first)} and holds it until {over_ns / 1e9:.3f} s at least"
            found.append(Finding("two-holders", sentence, (first, second)))
    return found
