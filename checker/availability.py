"""How much did the system serve, and did it serve when nothing was wrong? (Maelstrom's `availability`.)

During faults a system may be unable to answer, and how much it does is a figure. Long after the last fault and before
the next one it has no excuse. Progress after all faults is `checker.liveness`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.history import Operation, Outcome
from checker.records import CheckResult, Evidence, Phase, Validity

__all__ = ["CALM_MIN", "GRACE_NS", "NAME", "SHARE_MIN", "check_availability"]

NAME = "availability"
GRACE_NS = 3_000_000_000
"""After a fault: time to elect a leader and to reconnect, with a factor of five to spare."""
SHARE_MIN = 0.5
"""Of the operations asked for in calm times. Links stall and leaders change without any fault too."""
CALM_MIN = 300
"""Operations; one and a half seconds at the usual rate. Fewer prove nothing: an election may fall into them."""
_UNSERVED = ("timeout", "no-leader", "not-leader", "overloaded", "connection-refused", "connection-lost")

Windows = Sequence[tuple[int, int]]


def check_availability(
    operations: Sequence[Operation], phases: Sequence[Phase], faults: Windows, *, simulated: bool
) -> CheckResult:
    """The share of operations that were served: `ok`, or refused by what the state was (a failed comparison, say).

    Invalid (`unavailable`) when in the load phase, `GRACE_NS` and more after every effective fault and before the next,
    less than `SHARE_MIN` of `CALM_MIN` or more operations were served. Where time is real, not `simulated`, the machine
    may have been busy: there it is `unknown`. Where nothing was ever served it says nothing: that is `liveness`'s and
    `vacuity`'s to judge. Settling, in which the first leader is elected, counts as a fault.
    faults: (begin, end) of effective ones, ascending.
    Figures: `calm`, `calm_served`, `faulty`, `faulty_served`, `calm_share`, `faulty_share`.
    """
    load = next((phase for phase in phases if phase.name == "load"), None)
    begin_ns, end_ns = (0, None) if load is None else (load.begin_ns, load.end_ns)
    asked = [one for one in operations if one.call_ns >= begin_ns and (end_ns is None or one.call_ns <= end_ns)]
    settling = [(phase.begin_ns, begin_ns) for phase in phases if phase.name == "settle"]
    calm = [one for one in asked if _is_calm(one, (*settling, *faults))]
    concerned = dict.fromkeys(one.index for one in calm)
    faulty = [one for one in asked if one.index not in concerned]
    figures: dict[str, Any] = {
        "calm": len(calm),
        "calm_served": sum(map(_is_served, calm)),
        "faulty": len(faulty),
        "faulty_served": sum(map(_is_served, faulty)),
    }
    figures["calm_share"] = _share(figures["calm_served"], len(calm))
    figures["faulty_share"] = _share(figures["faulty_served"], len(faulty))
    summary = (
        f"{_percent(figures['calm_share'])} served in calm times, {_percent(figures['faulty_share'])} around faults"
    )
    served_at_all = figures["calm_served"] + figures["faulty_served"] > 0
    if served_at_all and len(calm) >= CALM_MIN and figures["calm_share"] < SHARE_MIN:
        validity = Validity.INVALID if simulated else Validity.UNKNOWN
        return _result(validity, "unavailable", f"{summary}: {SHARE_MIN:.0%} is the least", figures)
    return _result(Validity.VALID, None, summary, figures)


def _result(validity: Validity, anomaly: str | None, summary: str, figures: dict[str, Any]) -> CheckResult:
    evidence = Evidence(summary=summary, figures=figures)
    return CheckResult(name=NAME, validity=validity, anomaly=anomaly, evidence=evidence)


def _is_calm(one: Operation, faults: Windows) -> bool:
    """No fault is on, was on shortly before, or begins before the operation ends or its client loses patience."""
    end_ns = one.call_ns + GRACE_NS if one.return_ns is None else one.return_ns
    return all(end_ns < begin or one.call_ns > end + GRACE_NS for begin, end in faults)


def _is_served(one: Operation) -> bool:
    return one.outcome is Outcome.OK or (one.outcome is Outcome.FAIL and one.error not in _UNSERVED)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _percent(share: float | None) -> str:
    return "nothing asked, so nothing" if share is None else f"{share:.1%}"
