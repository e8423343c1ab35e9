"""The driver of real worlds, in virtual time: it carries out what the engine says, in order, and cleans up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from checker.faults import FaultStatus, summarize_faults
from checker.history import History
from checker.jsonl import read_jsonl
from checker.records import (
    FaultApplied,
    FaultHealed,
    FaultLine,
    FaultPlanned,
    FaultUndone,
    HistoryLine,
    LineType,
    TraceLine,
    Validity,
    Voted,
)
from checker.vacuity import check_vacuity
from histrio.engine import OTHER_PHASES_LIMIT_NS, Engine
from histrio.environments.cluster import Cluster, Counts, RealMechanismFactory
from histrio.environments.environment import Conducted, Progress
from histrio.environments.real_world import RealWorld
from histrio.planning import plan_trial, workload_options
from histrio.recorder import Recorder
from histrio.systems.system import DeployedSystem, NodeStatus
from histrio.trial import TrialSpec
from nemesis.injector import Apply, Injector, Undo
from nemesis.plan import AtEvent, AtTime, Fault
from nemesis.registry import kind_named
from tests.histrio.environments.fakes import FakeMechanism, Opener, fake_system
from workloads.registry import workload_named
from workloads.session import Outcome

MS = 1_000_000
SPEC = TrialSpec(nodes=3, concurrency=6, time_limit_s=2.0, nemesis=("none",), rate_hz=100)
ALL = ("settle", "load", "heal", "final-reads", "liveness")


class Run:
    """One run in virtual time and what is left of it."""

    def __init__(self, folder: Path, *faults: Fault, traced: bool = True, takes_s: float = 0.01) -> None:
        self.folder, self.faults, self.takes_s = folder, faults, takes_s
        self.opener = Opener(traced=traced)
        self.notes: list[tuple[float, str]] = []
        self.system = fake_system(self.note)
        self.progress: list[Progress] = []
        self.world: RealWorld | None = None

    def note(self, text: str) -> None:
        self.notes.append((round(trio.current_time(), 3), text))

    async def conduct(self, make: RealMechanismFactory | None = None) -> Conducted:
        trial = plan_trial(SPEC)
        trial = msgspec.structs.replace(trial, plan=msgspec.structs.replace(trial.plan, faults=self.faults))
        engine = Engine(trial, workload_named("register"), workload_options(SPEC), Injector(trial.plan, 1))
        recorder = Recorder.in_directory(self.folder, clock="monotonic")
        names = ("network.block", "process.kill", "process.pause")
        factories: dict[str, RealMechanismFactory] = dict.fromkeys(names, make or self.mechanism)
        self.world = RealWorld(trial, self.system, engine, recorder, factories, self.progress.append)
        try:
            await self.world.run(self.opener, self.folder / "nodes")
        finally:
            recorder.close()
        return self.world.conducted(None)

    def mechanism(self, cluster: Cluster, spoke: Callable[[str], int], seed: int) -> FakeMechanism:
        return FakeMechanism(cluster, spoke, self.note, self.takes_s)

    def history(self) -> list[HistoryLine]:
        lines = read_jsonl(self.folder / "history.jsonl", HistoryLine, format="histrio/history")
        assert lines.header.clock == "monotonic"
        return list(lines.records)

    def fault_lines(self, kind: type[FaultLine]) -> list[FaultLine]:
        lines = read_jsonl(self.folder / "faults.jsonl", FaultLine, format="histrio/faults").records
        return [entry for entry in lines if isinstance(entry, kind)]

    def calls(self) -> list[str]:
        return [text for _, text in self.notes if "apply" in text or "undo" in text]


def kill(fault: str, at_ms: int, for_ms: int, *nodes: str) -> Fault:
    return Fault(id=fault, kind="kill-one", at=AtTime(ns=at_ms * MS), for_ns=for_ms * MS, target=nodes)


async def test_a_run_goes_through_all_phases_and_records_a_history(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Architecture §2: the same phases as in the simulator, by one clock."""
    run = Run(tmp_path)
    conducted = await run.conduct()
    assert tuple(phase.name for phase in conducted.phases) == ALL
    assert (conducted.end.reason, conducted.exits) == ("completed", ())
    load = conducted.phases[1]
    assert load.end_ns is not None
    assert 2_000 * MS <= load.end_ns - load.begin_ns < 2_060 * MS
    lines = run.history()
    assert all(one.time_ns <= other.time_ns for one, other in pairwise(lines))
    operations = History(lines).operations
    assert 150 < sum(operation.call_ns < load.end_ns for operation in operations) < 250
    lasted = [operation.return_ns - operation.call_ns for operation in operations if operation.return_ns is not None]
    assert all(abs(each_ns - 2 * MS) <= 1 for each_ns in lasted), "the clients' 2 ms, but for rounding"
    assert run.opener.removed
    assert run.progress[-1].ok > 150


async def test_the_nodes_own_traces_become_the_record(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Every line that a node wrote, as it wrote it."""
    await Run(tmp_path).conduct()
    lines = read_jsonl(tmp_path / "trace.jsonl", TraceLine, format="histrio/trace").records
    assert [entry.event.__struct_config__.tag for entry in lines].count("restored") == 3
    assert {entry.node for entry in lines} == {"n1", "n2", "n3"}


async def test_calls_for_one_fault_follow_one_another_however_long_they_take(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The border: a fault of 1 ms whose switch takes 300 is undone after that."""
    run = Run(tmp_path, kill("f1", 100, 1, "n2"), takes_s=0.3)
    await run.conduct()
    assert run.calls() == ["apply f1 begins", "apply f1 ends", "undo f1 begins", "undo f1 ends"]
    (applied,), (undone,) = run.fault_lines(FaultApplied), run.fault_lines(FaultUndone)
    assert undone.time_ns - applied.time_ns >= 300 * MS


async def test_calls_that_concern_one_node_never_overtake_one_another(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Else a node that one fault starts again after another has killed it would be up under that one."""
    run = Run(tmp_path, kill("f1", 100, 100, "n2"), kill("f2", 210, 100, "n2"), takes_s=0.2)
    await run.conduct()
    calls = [f"{name} {fault} {edge}" for fault in ("f1", "f2") for name in ("apply", "undo") for edge in EDGES]
    assert run.calls() == calls


EDGES = ("begins", "ends")


async def test_calls_for_different_faults_go_side_by_side(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    run = Run(tmp_path, kill("f1", 100, 500, "n2"), kill("f2", 150, 500, "n3"), takes_s=0.2)
    await run.conduct()
    assert run.calls()[:4] == ["apply f1 begins", "apply f2 begins", "apply f1 ends", "apply f2 ends"]


async def test_a_consequence_is_seen_to_end_after_it_was_undone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    run = Run(tmp_path, kill("f1", 100, 300, "n2"))
    await run.conduct()
    (undone,), (healed,) = run.fault_lines(FaultUndone), run.fault_lines(FaultHealed)
    assert healed.time_ns >= undone.time_ns


async def test_a_fault_that_waits_for_an_event_starts_when_a_node_reports_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Within an election's time: the trace is read every few milliseconds."""
    trap = Fault(id="f1", kind="kill-one", at=AtEvent(event="voted"), for_ns=100 * MS, target="self")
    run = Run(tmp_path, trap)

    async def vote() -> None:
        await trio.sleep(1.0)
        assert run.opener.cluster is not None
        run.opener.cluster.write("n3", Voted(term=2, candidate="n3"))
        run.note("voted")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote)
        await run.conduct()
    (applied,) = run.fault_lines(FaultApplied)
    assert isinstance(applied, FaultApplied)
    assert applied.resolved == ("n3",)
    at = {text: time for time, text in run.notes}
    assert 0 <= at["apply f1 begins"] - at["voted"] <= 0.006


async def test_an_exit_that_no_fault_planned_is_recorded_and_others_are_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    run = Run(tmp_path, kill("f1", 100, 300, "n2"))

    async def crash() -> None:
        await trio.sleep(1.0)
        assert run.opener.cluster is not None
        run.opener.cluster.end("n3", planned=False, time_ns=17)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        conducted = await run.conduct()
    assert [(left.node, left.time_ns, left.reason) for left in conducted.exits] == [("n3", 17, "exit code 70: ended")]


async def test_a_run_that_does_not_end_is_ended_by_its_time_budget(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Architecture §7.5: a budget that is spent is unknown in real worlds; the cluster is removed all the same."""
    run = Run(tmp_path)
    run.system = fake_system(run.note, latency_s=1e9)
    conducted = await run.conduct()
    assert conducted.end.reason == "time-budget"
    assert OTHER_PHASES_LIMIT_NS < conducted.end.time_ns < 2 * OTHER_PHASES_LIMIT_NS
    assert conducted.phases[-1].end_ns is None
    assert run.opener.removed


async def test_a_mechanism_that_fails_ends_the_run_and_everything_is_removed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A failure of the harness is no verdict, and no reason to leave a cluster behind."""
    run = Run(tmp_path, kill("f1", 100, 300, "n2"))

    class Broken(FakeMechanism):
        async def apply(self, action: object) -> str:
            raise ZeroDivisionError("a bug of the mechanism")

    def make(cluster: Cluster, spoke: Callable[[str], int], seed: int) -> Broken:
        return Broken(cluster, spoke, run.note, 0)

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await run.conduct(make)
    assert [text for _, text in run.notes].count("close mechanism") == 1
    assert run.opener.removed


async def test_a_run_that_is_broken_off_closes_everything_and_says_how_far_it_came(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """As by Ctrl-C: what is open stays open in the history, which is well formed."""
    run = Run(tmp_path, kill("f1", 100, 3000, "n2"))
    with trio.move_on_after(1.5):
        await run.conduct()
    assert run.world is not None
    conducted = run.world.conducted(2)
    assert (conducted.end.reason, conducted.signal) == ("interrupted", 2)
    assert [phase.name for phase in conducted.phases] == ["settle", "load"]
    assert [text for _, text in run.notes].count("close mechanism") == 1
    opened, closed = (sum(text.startswith(word) for _, text in run.notes) for word in ("open ", "close "))
    assert opened == closed - 1
    assert run.opener.removed
    History(run.history())


async def test_a_thread_whose_operation_stays_open_goes_on_with_a_new_client(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """`info` ends a process; the client of the next one is another, and the old one's is closed."""
    run = Run(tmp_path)
    fair = run.system.client

    def client(process: int, addresses: object) -> object:
        made = fair(process, {})
        if process == 0:
            invoke = made.invoke

            async def unanswered(operation: object, operation_id: str) -> object:
                completion = await invoke(operation, operation_id)  # type: ignore[arg-type]
                return msgspec.structs.replace(completion, outcome=Outcome.INFO, error="timeout")

            made.invoke = unanswered  # type: ignore[method-assign,assignment]
        return made

    run.system = DeployedSystem(launch=run.system.launch, client=client)  # type: ignore[arg-type]
    await run.conduct()
    notes = [text for _, text in run.notes]
    assert notes.index("close 0") < notes.index("open 6 n1")
    assert [entry.process for entry in run.history() if entry.type is LineType.INFO] == [0]


async def test_a_system_without_a_trace_is_asked_for_its_status(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The leader is found, and faults that wait for one start."""
    trap = Fault(id="f1", kind="kill-leader", at=AtEvent(event="became-leader"), for_ns=100 * MS, target="leader")
    run = Run(tmp_path, trap, traced=False)

    def status(address: str) -> NodeStatus | None:
        cluster = run.opener.cluster
        assert cluster is not None
        if address not in cluster.alive:
            return None
        leader = "n1" if trio.current_time() < 1 else "n2"
        return NodeStatus("leader" if address == leader else "follower", 1 if leader == "n1" else 2)

    run.system = fake_system(run.note, status=status)
    conducted = await run.conduct()
    assert tuple(phase.name for phase in conducted.phases) == ALL
    assert conducted.phases[0].end_ns is not None
    assert conducted.phases[0].end_ns < 1000 * MS
    (applied,) = run.fault_lines(FaultApplied)
    assert isinstance(applied, FaultApplied)
    assert applied.resolved == ("n2",)


@pytest.mark.parametrize(
    ("kind", "family"), [("kill-one", "kill"), ("pause-one", "pause"), ("partition-one", "partition")]
)
async def test_a_mechanism_that_does_nothing_makes_a_real_run_vacuous_too(
    kind: str, family: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The sabotage test of the registry: switched on is no evidence."""
    run = Run(tmp_path, Fault(id="f1", kind=kind, at=AtTime(ns=100 * MS), for_ns=500 * MS, target="one"))

    class NoOp(FakeMechanism):
        async def apply(self, action: Apply) -> str:
            return "pretends"

        async def undo(self, action: Undo) -> Counts:
            return dict.fromkeys(kind_named(kind).evidence, 0)

    await run.conduct(lambda cluster, spoke, seed: NoOp(cluster, spoke, run.note, 0))
    lines = read_jsonl(tmp_path / "faults.jsonl", FaultLine, format="histrio/faults").records
    planned = FaultPlanned(id="f1", time_ns=0, kind=kind, family=family, at={}, for_ns=500 * MS)
    (summary,) = summarize_faults([planned, *lines])
    assert summary.status is FaultStatus.NO_EFFECT
    result = check_vacuity(run.history(), [summary], [family])
    assert result.validity is Validity.VACUOUS
    assert family in result.evidence.summary
