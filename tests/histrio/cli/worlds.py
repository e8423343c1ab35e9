"""A call of the command line in a world of its own: streams to read afterwards, services that do as told.

Here belong the fakes; what is expected of the commands stands in the tests. The fakes keep the border's promises:
`execute` leaves a complete run directory, `judge` writes the verdict it was told, so that only the command line is
under test.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from checker.jsonl import JsonlWriter
from checker.records import (
    CheckResult,
    Evidence,
    Header,
    HistoryLine,
    LineType,
    Phase,
    RunEnd,
    RunRecord,
    Validity,
    Verdict,
)
from checker.verdict import compose
from histrio.bug_score import BugScore
from histrio.campaign import CampaignSpec, Row
from histrio.catalogue import Catalogue, Entry
from histrio.cli_call import Terminal
from histrio.cli_main import call_command
from histrio.cli_services import HistoryAnswer, HistoryQuestion, Services
from histrio.environments.environment import Progress
from histrio.store import RunDirectory
from histrio.trial import Trial, TrialSpec, spec_to_json
from nemesis.plan import Plan

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

CATALOGUE = Catalogue(
    environments=(
        Entry(name="sim", about="simulated"),
        Entry(name="local", about="", unavailable="not in this version"),
        Entry(name="docker", about="", unavailable="not in this version"),
    ),
    systems=(Entry(name="raft_trio", about="ours"), Entry(name="other", about="another")),
    workloads=(Entry(name="register", about="reads and writes"),),
    nemeses=(
        Entry(name="partition", about="cuts", kinds=(Entry(name="partition-halves", about="two halves"),)),
        Entry(name="kill", about="SIGKILL", kinds=(Entry(name="kill-one", about="one node"),)),
    ),
    bugs=(Entry(name="leader_local_read", about="reads alone", system="raft_trio"),),
    models=(Entry(name="register", about=""), Entry(name="cas-register", about="")),
    formats=(Entry(name="jepsen-log", about="text"),),
    demo_bug="leader_local_read",
)


def a_check(validity: Validity, name: str = "linearizability") -> CheckResult:
    anomaly = None if validity is Validity.VALID else "stale-read"
    details = ("n1  |-- write 2 --|", "n2          |-- read 1 --|")
    evidence = Evidence(summary=f"the summary of {name}", details=() if anomaly is None else details)
    return CheckResult(name=name, validity=validity, anomaly=anomaly, evidence=evidence)


def a_score(name: str = "leader_local_read", *, found: int = 3, accused: tuple[int, ...] = ()) -> BugScore:
    return BugScore(
        name=name,
        expected=("linearizability",),
        seeds=3,
        found=found,
        first=1 if found else None,
        detectors={"linearizability": found, "liveness": 1} if found else {},
        accused=accused,
    )


INVALID = compose([a_check(Validity.INVALID), a_check(Validity.VALID, "liveness")])
SEVERITIES = {
    Validity.VALID: 0,
    Validity.INVALID: 1,
    Validity.UNKNOWN: 2,
    Validity.VACUOUS: 3,
    Validity.HARNESS_ERROR: 70,
}
"""The exit code of each validity (architecture.md §4)."""


def a_record(seed: int = 7, *, end: RunEnd | None = None) -> RunRecord:
    return RunRecord(
        name="raft_trio-register",
        histrio_version="0",
        python_version="3",
        started_at=START.isoformat(),
        seed=seed,
        environment="sim",
        system="raft_trio",
        nodes=("n1", "n2", "n3"),
        workload="register",
        nemesis=("partition",),
        time_limit_ns=10**9,
        rate_hz=200.0,
        concurrency=6,
        phases=(Phase(name="load", begin_ns=0, end_ns=None),),
        end=end,
    )


@dataclass(frozen=True)
class FakeReplay:
    trace_hash_recorded: str | None
    trace_hash_now: str | None
    directory: Path

    @property
    def equal(self) -> bool:
        return self.trace_hash_recorded == self.trace_hash_now


class TickingClock:
    """Every look at the clock is a quarter of a second after the last."""

    def __init__(self) -> None:
        self._looks = 0

    def __call__(self) -> datetime:
        self._looks += 1
        return START + timedelta(milliseconds=250 * (self._looks - 1))


class FakeTerminalStream(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@dataclass
class World:
    """What the services are to do, and what they were asked."""

    folder: Path
    verdict: Verdict = field(default_factory=lambda: compose([a_check(Validity.VALID)]))
    histories: Mapping[str, CheckResult | Exception] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    is_terminal: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    """Services to use in place of the fakes, by name."""
    rows: tuple[Row, ...] = ()
    """What a campaign's trials leave."""
    asked: list[TrialSpec] = field(default_factory=list)
    questions: list[HistoryQuestion] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / "runs"

    def call(self, *arguments: str) -> Answer:
        """Carry out `histrio *arguments`."""
        out = FakeTerminalStream(is_terminal=self.is_terminal)
        err = FakeTerminalStream(is_terminal=self.is_terminal)
        code = call_command(arguments, self.services(), Terminal(out, err, self.environ, self.folder))
        return Answer(code, out.getvalue(), err.getvalue())

    def run(self, *arguments: str) -> Answer:
        """Carry out `histrio run --seed 7`, with the store in this world."""
        return self.call("run", "--seed", "7", "--store", str(self.store), *arguments)

    def services(self) -> Services:
        usual = Services(
            catalogue=lambda: CATALOGUE,
            plan_trial=self._plan,
            execute=execute,
            judge=self._judge,
            write_report=write_report,
            replay=lambda directory, store: FakeReplay("abc", "abc", store / "replayed"),
            check_history=self._check_history,
            run_campaign=self._run_campaign,
            score_bugs=lambda names, seeds, plans: [a_score(name, found=len(seeds)) for name in names],
            build_image=lambda say: "histrio-node:abc  on python:3.11-slim",
            now=TickingClock(),
        )
        return replace(usual, **self.changes)

    def only_run(self) -> RunDirectory:
        """The one run in the store."""
        (path,) = self.store.glob("*/*-s*")
        return RunDirectory.load(path)

    def _plan(self, spec: TrialSpec) -> Trial:
        self.asked.append(spec)
        nodes = tuple(f"n{number}" for number in range(1, spec.nodes + 1))
        return Trial(spec=spec, nodes=nodes, plan=Plan(seed=spec.seed, nodes=nodes, workload=spec.workload, faults=()))

    def _run_campaign(
        self,
        campaign: CampaignSpec,
        jobs: int,
        interpreted: bool,
        budget_s: float | None,
        on_row: Callable[[Row], bool],
        say: Callable[[str], None],
    ) -> tuple[int, bool]:
        for row in self.rows:
            if not on_row(row):
                break
        return 0, budget_s is not None

    def _judge(self, path: Path) -> Verdict:
        RunDirectory.load(path).write_verdict(self.verdict)
        return self.verdict

    def _check_history(self, path: Path, question: HistoryQuestion) -> HistoryAnswer:
        self.questions.append(question)
        result = self.histories.get(path.name, a_check(Validity.VALID))
        if isinstance(result, Exception):
            raise result
        return HistoryAnswer(result=result)


@dataclass(frozen=True)
class Answer:
    """What the caller sees."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be one JSON document."""
        return json.loads(self.out)


def execute(trial: Trial, directory: RunDirectory, on_progress: Callable[[Progress], None]) -> None:
    record_start(trial, directory)
    on_progress(Progress(now_ns=10**9, phase="load", ok=3, fail=2, info=1, faults=("partition-halves",)))
    end = RunEnd(time_ns=2 * 10**9, reason="completed", events=10, trace_hash="abc")
    record = a_record(trial.spec.seed, end=end)
    directory.write_run(msgspec.structs.replace(record, spec=spec_to_json(trial.spec)))


def record_start(trial: Trial, directory: RunDirectory) -> None:
    """What is on disk as soon as the load phase has begun."""
    directory.write_run(a_record(trial.spec.seed))
    directory.write_plan(trial.plan)
    history = JsonlWriter(directory.history, Header(format="histrio/history"))
    history.append(HistoryLine(index=0, time_ns=1, process=0, type=LineType.INVOKE, f="read", key=1))
    history.close()
    JsonlWriter(directory.faults, Header(format="histrio/faults")).close()
    JsonlWriter(directory.trace, Header(format="histrio/trace")).close()


def write_report(path: Path) -> Path:
    report = path / "report.html"
    report.write_text("<!doctype html>", encoding="utf-8")
    return report
