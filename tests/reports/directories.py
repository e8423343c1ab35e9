"""Run directories made by hand: what the tests of reports read.

Here belongs building; expectations stand in the tests. Everything follows from a seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from checker.records import (
    AnyTraceEvent,
    Applied,
    Became,
    CheckResult,
    Evidence,
    FaultApplied,
    FaultHealed,
    FaultLine,
    FaultObserved,
    FaultPlanned,
    FaultUndone,
    Header,
    HistoryLine,
    LineType,
    Phase,
    Restored,
    RunEnd,
    RunRecord,
    TraceLine,
    Validity,
    Verdict,
)

__all__ = ["SECOND", "HistoryBuilder", "a_check", "a_run", "a_verdict", "busy_directory", "write_directory"]

SECOND = 1_000_000_000
NODES = ("n1", "n2", "n3", "n4", "n5")
COMMAND = "histrio run --seed 7 --nemesis partition,kill"


def a_run(**changes: Any) -> RunRecord:
    """A completed run of 60 simulated seconds, with `changes`."""
    run = RunRecord(
        name="raft_trio-register",
        histrio_version="0.1.0",
        python_version="3.11.9",
        started_at="2026-01-02T03:04:05Z",
        seed=7,
        environment="sim",
        system="raft_trio",
        nodes=NODES,
        workload="register",
        nemesis=("partition", "kill"),
        time_limit_ns=50 * SECOND,
        rate_hz=200.0,
        concurrency=10,
        checks=("linearizability", "election-safety"),
        command=COMMAND,
        phases=(
            Phase(name="settle", begin_ns=0, end_ns=2 * SECOND),
            Phase(name="load", begin_ns=2 * SECOND, end_ns=50 * SECOND),
            Phase(name="heal", begin_ns=50 * SECOND, end_ns=53 * SECOND),
            Phase(name="final-reads", begin_ns=53 * SECOND, end_ns=56 * SECOND),
            Phase(name="liveness", begin_ns=56 * SECOND, end_ns=60 * SECOND),
        ),
        end=RunEnd(time_ns=60 * SECOND, reason="completed", events=1_234_567, trace_hash="c0ffee"),
    )
    return msgspec.structs.replace(run, **changes)


def a_check(name: str = "linearizability", validity: Validity = Validity.VALID, **changes: Any) -> CheckResult:
    """A check's result, with `changes`."""
    evidence = Evidence(summary=f"{name} looked at everything")
    return msgspec.structs.replace(CheckResult(name=name, validity=validity, evidence=evidence), **changes)


def a_verdict(*checks: CheckResult) -> Verdict:
    """The most severe validity of `checks`."""
    worst = max(checks, key=lambda check: check.validity.severity)
    valid = worst.validity is Validity.VALID
    return Verdict(validity=worst.validity, signature=None if valid else f"{worst.name}/{worst.anomaly}", checks=checks)


@dataclass
class HistoryBuilder:
    """History lines from whole operations, sorted by time at the end."""

    _events: list[tuple[int, int, HistoryLine]] = field(default_factory=list)

    def add(
        self,
        *,
        process: int,
        f: str,
        call_ns: int,
        return_ns: int | None,
        outcome: LineType = LineType.OK,
        key: Any = None,
        argument: Any = None,
        result: Any = None,
        error: str | None = None,
        node: str | None = "n1",
    ) -> None:
        """One operation; `return_ns` None: never completed."""
        call = HistoryLine(
            index=0, time_ns=call_ns, process=process, type=LineType.INVOKE, f=f, key=key, value=argument, node=node
        )
        self._events.append((call_ns, len(self._events), call))
        if return_ns is not None:
            end = HistoryLine(
                index=0, time_ns=return_ns, process=process, type=outcome,
                f=f, key=key, value=result, error=error, node=node,
            )  # fmt: skip
            self._events.append((return_ns, len(self._events), end))

    def lines(self) -> tuple[HistoryLine, ...]:
        """In order of time, numbered."""
        ordered = sorted(self._events, key=lambda event: event[:2])
        return tuple(msgspec.structs.replace(line, index=index) for index, (_, _, line) in enumerate(ordered))


def write_directory(
    directory: Path,
    *,
    run: RunRecord,
    history: Sequence[HistoryLine] | None = (),
    faults: Sequence[FaultLine] | None = (),
    trace: Sequence[TraceLine] | None = (),
    verdict: Verdict | None = None,
    plan: str | None = None,
) -> Path:
    """Write the files of a run; those that are None are left out."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "run.json").write_bytes(msgspec.json.encode(run))
    if history is not None:
        _write_lines(directory / "history.jsonl", Header(format="histrio/history"), history)
    if faults is not None:
        _write_lines(directory / "faults.jsonl", Header(format="histrio/faults"), faults)
    if trace is not None:
        _write_lines(directory / "trace.jsonl", Header(format="histrio/trace"), trace)
    if verdict is not None:
        (directory / "verdict.json").write_bytes(msgspec.json.encode(verdict))
    if plan is not None:
        (directory / "plan.json").write_text(plan)
    return directory


def _write_lines(path: Path, header: Header, records: Iterable[msgspec.Struct]) -> None:
    encode = msgspec.json.Encoder().encode
    path.write_bytes(b"".join(encode(record) + b"\n" for record in (header, *records)))


# ── a busy run ───────────────────────────────────────────────────────────────────────────────────────────────────────

FAULTS = (
    ("f1", "partition-halves", "partition", 6.0, 5.0, ("n1", "n2"), {"dropped_packets": 4211}),
    ("f2", "kill", "kill", 9.0, 4.0, ("n2",), {"unsynced_bytes_lost": 812, "refused_pings": 3}),
    ("f3", "partition-leader", "partition", 15.0, 4.5, ("n3",), {"dropped_packets": 1930}),
    ("f4", "partition-one-way", "partition", 22.0, 6.0, ("n4",), {"dropped_packets": 0}),
    ("f5", "kill", "kill", 24.0, 3.0, ("n1", "n5"), {"refused_pings": 7}),
    ("f6", "pause", "pause", 31.0, 3.0, ("n3",), None),
    ("f7", "partition-majority", "partition", 36.0, 5.0, ("n1", "n4", "n5"), {"dropped_packets": 5020}),
    ("f8", "kill", "kill", 43.0, 4.0, ("n4",), {"refused_pings": 2}),
)
SILENCES = ((6.0, 7.4), (15.0, 17.3), (36.0, 37.1))


def fault_lines(faults: Sequence[tuple[Any, ...]] = FAULTS) -> tuple[FaultLine, ...]:
    """Planned, applied, observed, undone, healed; the last of FAULTS never begins."""
    lines: list[FaultLine] = []
    for fault_id, kind, family, begin, length, nodes, counts in faults:
        begin_ns, end_ns = round(begin * SECOND), round((begin + length) * SECOND)
        lines += [
            FaultPlanned(
                id=fault_id,
                time_ns=0,
                kind=kind,
                family=family,
                at={"on": "time", "ns": begin_ns},
                for_ns=end_ns - begin_ns,
            ),
            FaultApplied(id=fault_id, time_ns=begin_ns, resolved=nodes, rule=f"{kind} {' '.join(nodes)}"),
        ]
        if counts is not None:
            lines.append(FaultObserved(id=fault_id, time_ns=end_ns, counts=counts))
        lines += [
            FaultUndone(id=fault_id, time_ns=end_ns),
            FaultHealed(id=fault_id, time_ns=end_ns + SECOND // 5, probe="ping"),
        ]
    lines.append(FaultPlanned(id="f9", time_ns=0, kind="kill", family="kill", at={"event": "synced"}, for_ns=SECOND))
    return tuple(sorted(lines, key=lambda line: line.time_ns))


def busy_history(operations: int = 12_000, seed: int = 7) -> tuple[HistoryLine, ...]:
    """Ten clients on 24 keys for 60 s, with stretches in which nothing succeeds."""
    random = Random(f"{seed}/history")
    builder = HistoryBuilder()
    step = 52 * SECOND // operations * 10
    for client in range(10):
        process, now = client, 2 * SECOND + client * 1_000_000
        for _ in range(operations // 10):
            f = random.choices(("read", "write", "cas"), (5, 4, 1))[0]
            key = f"k{int(random.random() * 24)}"
            latency = round(random.lognormvariate(1.2, 0.5) * 1_000_000)
            silent = any(begin <= now / SECOND < end for begin, end in SILENCES)
            outcome = LineType.OK
            if silent:
                outcome, latency = (LineType.INFO, 300_000_000) if random.random() < 0.3 else (LineType.FAIL, latency)
            elif f == "cas" and random.random() < 0.5:
                outcome = LineType.FAIL
            error = {LineType.INFO: "timeout", LineType.FAIL: "not leader"}.get(outcome)
            argument = {"read": None, "write": int(random.random() * 9), "cas": [1, 2]}[f]
            result = int(random.random() * 9) if f == "read" and outcome is LineType.OK else argument
            builder.add(
                process=process, f=f, call_ns=now, return_ns=now + latency, outcome=outcome, key=key,
                argument=argument, result=result, error=error, node=f"n{client % 5 + 1}",
            )  # fmt: skip
            now += max(latency + 100_000, round(step * (0.7 + 0.6 * random.random())))
            process += 10 if outcome is LineType.INFO else 0
    return builder.lines()


def busy_trace(lines: int = 20_000) -> tuple[TraceLine, ...]:
    """Five nodes, six leaders in turn, one restart of n2."""
    reigns = ((0.3, "n1", 1), (7.2, "n3", 2), (17.0, "n5", 3), (25.0, "n4", 5), (37.0, "n2", 6), (45.0, "n1", 8))
    events: list[tuple[float, str, int, AnyTraceEvent]] = []
    for node in NODES:
        events.append((0.0, node, 0, Restored(term=0, voted_for=None, last_index=0, last_term=0)))
    events.append((13.0, "n2", 1, Restored(term=2, voted_for=None, last_index=9, last_term=2)))
    for begin, node, term in reigns:
        life = 1 if node == "n2" and begin > 13 else 0
        events.append((begin - 0.25, node, life, Became(role="pre-candidate", term=term - 1)))
        events.append((begin - 0.15, node, life, Became(role="candidate", term=term)))
        events.append((begin, node, life, Became(role="leader", term=term)))
    for (_, node, _), (begin, _, term) in pairwise(reigns):
        life = 1 if node == "n2" else 0
        events.append((begin + 0.1, node, life, Became(role="follower", term=term)))
    for number in range(lines - len(events)):
        time_s, node = 60.0 * number / lines, NODES[number % 5]
        if node == "n2" and 9.0 < time_s < 13.0:
            continue
        life = 1 if node == "n2" and time_s >= 13.0 else 0
        events.append((time_s + 1e-4, node, life, Applied(index=number // 5 + 1, digest=number // 5 * 7919)))
    events.sort(key=lambda event: (event[0], event[1]))
    counters: dict[tuple[str, int], int] = {}
    result = []
    for time_s, node, life, event in events:
        seq = counters[node, life] = counters.get((node, life), -1) + 1
        result.append(TraceLine(node=node, incarnation=life, seq=seq, local_ns=round(time_s * SECOND), event=event))
    return tuple(result)


def stale_read(history: HistoryBuilder, *, begin_ns: int, key: str) -> None:
    """Four operations on `key` of which the last contradicts the others: a stale read."""
    ms = 1_000_000
    history.add(
        process=900, f="write", key=key, argument=1, result=1, call_ns=begin_ns, return_ns=begin_ns + 5 * ms, node="n1"
    )
    history.add(
        process=901,
        f="write",
        key=key,
        argument=2,
        result=2,
        call_ns=begin_ns + 8 * ms,
        return_ns=begin_ns + 14 * ms,
        node="n2",
    )
    history.add(
        process=902,
        f="cas",
        key=key,
        argument=[2, 7],
        outcome=LineType.INFO,
        error="timeout",
        call_ns=begin_ns + 10 * ms,
        return_ns=begin_ns + 900 * ms,
        node="n3",
    )
    history.add(
        process=900,
        f="read",
        key=key,
        argument=None,
        result=1,
        call_ns=begin_ns + 2400 * ms,
        return_ns=begin_ns + 2403 * ms,
        node="n1",
    )


def stale_read_check(history: Sequence[HistoryLine]) -> CheckResult:
    """What a checker says about `stale_read`."""
    indexes = [line.index for line in history if line.process in (900, 901, 902) and line.type is LineType.INVOKE]
    return a_check(
        validity=Validity.INVALID,
        anomaly="stale-read",
        key="x",
        evidence=Evidence(
            summary="process 900 read x = 1 at 17.4 s, after process 901's write of 2 was acknowledged at 15.0 s",
            indexes=tuple(indexes),
            figures={"operations_on_key": 4, "longest_prefix": 3},
        ),
        budget={"configurations": 812, "configurations_max": 2_000_000},
    )


def busy_directory(directory: Path, *, operations: int = 12_000, trace_lines: int = 4_000) -> Path:
    """A valid run with faults of every status."""
    verdict = a_verdict(
        a_check(
            budget={"configurations": 48_120, "configurations_max": 2_000_000, "seconds": 0.84, "seconds_max": 60.0}
        ),
        a_check("election-safety"),
        a_check("liveness"),
    )
    return write_directory(
        directory,
        run=a_run(skipped={"clock-skew": "the simulator's clocks do not drift yet"}),
        history=busy_history(operations),
        faults=fault_lines(),
        trace=busy_trace(trace_lines),
        verdict=verdict,
        plan='{"version":1,"seed":7,"faults":[{"id":"f1","kind":"partition-halves"}]}',
    )


def invalid_directory(directory: Path, *, operations: int = 1_000) -> Path:
    """A run with a stale read."""
    builder = HistoryBuilder()
    stale_read(builder, begin_ns=15 * SECOND, key="x")
    random = Random("7/invalid")
    for number in range(operations):
        call_ns = 2 * SECOND + number * 48 * SECOND // operations
        latency = round(random.lognormvariate(1.2, 0.5) * 1_000_000)
        builder.add(
            process=number % 10, f="write", key=f"k{number % 5}", argument=number, result=number, call_ns=call_ns,
            return_ns=min(call_ns + latency, call_ns + 10 * 48 * SECOND // operations - 1), node=f"n{number % 5 + 1}",
        )  # fmt: skip
    history = builder.lines()
    return write_directory(
        directory,
        run=a_run(bug="read_without_quorum"),
        history=history,
        faults=fault_lines(),
        trace=busy_trace(2_000),
        verdict=a_verdict(a_check("election-safety"), stale_read_check(history), a_check("liveness")),
    )
