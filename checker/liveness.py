"""Does the system work again once every fault is healed? And did every node that ended do so by our hand?

Here belong the checks of progress; what must never happen is in `checker.trace_rules`. Times are compared only within
the harness's own clock (history, phases); of the trace only per-node order is used, so that skewed node clocks cannot
turn the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from checker.records import (
    Applied,
    Became,
    CheckResult,
    Committed,
    Configuration,
    Evidence,
    HistoryLine,
    LineType,
    NodeExit,
    Phase,
    Restored,
    Snapshot,
    TraceLine,
    Validity,
)
from checker.trace_view import in_order

__all__ = ["check_liveness", "check_node_exits"]

LIVENESS_PHASE = "liveness"
READS = ("read", "get", "watch")
_MOVES = frozenset({Restored, Became, Committed, Applied, Snapshot})

Lack = tuple[str, str]
"""(anomaly class, what was missing)."""


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a node stood when its trace ended."""

    role: str
    role_term: int
    led: int
    """The last term that this incarnation led; 0: none."""
    committed: int
    applied: int | None
    """None: this incarnation applied nothing yet, or the system does not trace it."""


def check_liveness(
    history_lines: Sequence[HistoryLine],
    trace: Sequence[TraceLine] | None,
    phases: Sequence[Phase],
    nodes: Sequence[str],
) -> CheckResult:
    """Progress within the phase called `liveness`, which begins after everything was healed.

    Clients: an `ok` on every node they asked there, and an `ok` of some writing operation where writes were asked for.
    Nodes that are no members at the end, where the trace shows who is, need not serve nor catch up.
    Trace (None or empty for systems without one): a leader at the end, or at least in the newest term; a commit index
    beyond the highest log position acknowledged before the phase, where writes were asked for; and every node has
    committed, and applied where it traces that, up to that position. The position comes from the history, the only
    place with the harness's clock.
    Unknown when the run was cut off before the phase ended, vacuous when nothing was asked in it. Also vacuous when no
    operation ever succeeded, before or after: nothing was lost, and it may be the clients. Then only the trace accuses.
    Anomalies, the gravest first: `no-leader`, `no-progress-after-healing`, `no-commit-after-healing`, `member-behind`,
    `node-not-serving`.
    """
    phase = next((phase for phase in phases if phase.name == LIVENESS_PHASE), None)
    if phase is None or phase.end_ns is None:
        return _result(Validity.UNKNOWN, "cut-off", "the run was cut off before its liveness phase ended")
    asked = [line for line in history_lines if line.type is LineType.INVOKE and line.time_ns >= phase.begin_ns]
    if not asked:
        return _result(Validity.VACUOUS, "nothing-asked", "no operation was invoked in the liveness phase")
    answered = _answered(history_lines, phase.begin_ns, phase.end_ns)
    acknowledged = _acknowledged_before(history_lines, phase.begin_ns)
    members = _members(trace or ())
    figures: dict[str, Any] = {
        "asked": len(asked),
        "ok": len(answered),
        "acknowledged_index": acknowledged,
        "committed": {node: member.committed for node, member in sorted(members.items())},
    }
    members_now = _members_now(trace or (), nodes)
    served = any(line.type is LineType.OK for line in history_lines)
    lacks = list(_lacking_leader(members))
    if served:
        lacks += _lacking_answers(asked, answered)
    if members:
        lacks += _lacking_commits(members, acknowledged, [line for line in asked if line.f not in READS])
        lacks += _members_behind(members, acknowledged, members_now)
    if served:
        lacks += _not_serving(asked, answered, members_now)
    if lacks:
        return _result(Validity.INVALID, lacks[0][0], "; ".join(text for _, text in lacks), figures)
    if not served:
        return _result(
            Validity.VACUOUS, "never-served", "no operation succeeded, neither before nor after healing", figures
        )
    summary = f"{len(answered)} of {len(asked)} operations ok after healing" + (
        f", all {len(nodes)} nodes have log position {acknowledged}" if members else ", judged by clients only"
    )
    return _result(Validity.VALID, None, summary, figures)


def check_node_exits(exits: Sequence[NodeExit]) -> CheckResult:
    """Invalid when a node ended by itself (a failed assertion, a crash): a correct node ends when it is made to."""
    if not exits:
        evidence = Evidence(summary="no node ended by itself")
        return CheckResult(name="node-exits", validity=Validity.VALID, evidence=evidence)
    told = [(left.node, left.time_ns, left.reason) for left in exits]
    details = tuple(f"{time_ns / 1e9:.6f} s  {node}: {reason}" for node, time_ns, reason in told)
    node, time_ns, reason = told[0]
    return CheckResult(
        name="node-exits",
        validity=Validity.INVALID,
        anomaly="unplanned-exit",
        key=node,
        evidence=Evidence(
            summary=f"{node} ended by itself at {time_ns / 1e9:.3f} s: {reason}",
            details=details,
            figures={"exits": len(exits)},
        ),
    )


def _result(
    validity: Validity, anomaly: str | None, summary: str, figures: dict[str, Any] | None = None
) -> CheckResult:
    evidence = Evidence(summary=summary, figures=figures or {})
    return CheckResult(name="liveness", validity=validity, anomaly=anomaly, evidence=evidence)


# ── what clients saw ─────────────────────────────────────────────────────────────────────────────────────────────────


def _answered(history_lines: Sequence[HistoryLine], begin_ns: int, end_ns: int) -> list[HistoryLine]:
    """The `ok` lines of operations that were invoked in the phase and ended in it."""
    calls: dict[int, int] = {}
    answered = []
    for line in history_lines:
        if line.type is LineType.INVOKE:
            calls[line.process] = line.time_ns
        elif line.type is LineType.OK and begin_ns <= calls.get(line.process, -1) and line.time_ns <= end_ns:
            answered.append(line)
    return answered


def _acknowledged_before(history_lines: Sequence[HistoryLine], time_ns: int) -> int:
    """The highest log index that clients had heard of before `time_ns`; 0: the system tells no positions."""
    return max(
        (
            line.position[1]
            for line in history_lines
            if line.type is LineType.OK and line.position is not None and line.time_ns <= time_ns
        ),
        default=0,
    )


def _lacking_answers(asked: Sequence[HistoryLine], answered: Sequence[HistoryLine]) -> Iterator[Lack]:
    if not answered:
        yield "no-progress-after-healing", f"none of {len(asked)} operations succeeded after healing"
        return
    writes = dict.fromkeys(line.f for line in asked if line.f not in READS)
    if writes and not any(line.f in writes for line in answered):
        kinds = ", ".join(writes)
        yield "no-progress-after-healing", f"no writing operation ({kinds}) succeeded after healing"


def _not_serving(
    asked: Sequence[HistoryLine], answered: Sequence[HistoryLine], expected: Sequence[str]
) -> Iterator[Lack]:
    served = {line.process for line in answered}
    nodes = {line.process: line.node for line in asked}
    well = {node for process, node in nodes.items() if process in served}
    for node in sorted(({node for node in nodes.values() if node is not None} - well) & set(expected)):
        count = sum(line.node == node for line in asked)
        yield "node-not-serving", f"none of {count} operations on {node} succeeded after healing"


# ── what nodes traced ────────────────────────────────────────────────────────────────────────────────────────────────


def _members(trace: Sequence[TraceLine]) -> dict[str, _Member]:
    """Where each node stood when its trace ended; by node, in the order of first appearance."""
    lines: dict[str, list[TraceLine]] = {node: [] for node in dict.fromkeys([line.node for line in trace])}
    for line in trace:
        if type(line.event) in _MOVES:
            lines[line.node].append(line)
    return {node: _member(of_node) for node, of_node in lines.items()}


def _members_now(trace: Sequence[TraceLine], nodes: Sequence[str]) -> tuple[str, ...]:
    """Those of `nodes` that are members by the newest configuration that any node has at its end; all, if none is told.

    Who was removed need not catch up, and neither need who waits to be added.
    """
    last = {line.node: line.event for line in in_order(trace) if isinstance(line.event, Configuration)}
    newest = max(last.values(), key=lambda event: event.index, default=None)
    if newest is None or not newest.voters:
        return tuple(nodes)
    members = {*newest.voters, *newest.voters_outgoing, *newest.learners}
    return tuple(node for node in nodes if node in members)


def _member(lines: Sequence[TraceLine]) -> _Member:
    role, role_term, led, committed = "follower", 0, 0, 0
    applied: int | None = None
    for line in in_order(lines):
        match line.event:
            case Applied(index=index):
                applied = index
            case Committed(index=index):
                committed = index
            case Restored(term=term):
                role, role_term, led, committed, applied = "follower", term, 0, 0, None
            case Became(role=new_role, term=term):
                role, role_term = new_role, term
                led = term if new_role == "leader" else led
            case Snapshot(index=index, installed=installed) if installed or applied is None:
                committed, applied = max(committed, index), max(applied or 0, index)
            case _:
                pass
    return _Member(role, role_term, led, committed, applied)


def _lacking_leader(members: dict[str, _Member]) -> Iterator[Lack]:
    """A leader that a stalled link deposed in the last moment has led the newest term: whether that term made progress
    is for the other rules to say."""
    newest = max((member.role_term for member in members.values()), default=0)
    if members and not any(member.role == "leader" or member.led == newest > 0 for member in members.values()):
        roles = ", ".join(f"{node} {member.role}" for node, member in sorted(members.items()))
        yield "no-leader", f"no node was leader at the end ({roles})"


def _lacking_commits(
    members: dict[str, _Member], acknowledged: int, writes_asked: Sequence[HistoryLine]
) -> Iterator[Lack]:
    highest = max(member.committed for member in members.values())
    if writes_asked and highest <= acknowledged:
        yield "no-commit-after-healing", f"no commit beyond log position {acknowledged}, reached before the phase"


def _members_behind(members: dict[str, _Member], acknowledged: int, nodes: Sequence[str]) -> Iterator[Lack]:
    applies = any(member.applied is not None for member in members.values())
    for node in nodes:
        member = members.get(node)
        if member is None:
            yield "member-behind", f"{node} left no trace at all"
            continue
        reached = min(member.committed, member.applied or 0) if applies else member.committed
        if reached < acknowledged:
            what = "committed" if member.committed < acknowledged else "applied"
            yield "member-behind", f"{node} had {what} up to {reached} only; {acknowledged} was known before the phase"
