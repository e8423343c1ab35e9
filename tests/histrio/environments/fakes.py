"""A real world without processes: a cluster, a system and mechanisms that act in virtual time and write real traces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio

from checker.records import AnyTraceEvent, Became, Restored, TraceLine
from histrio.environments.cluster import Cluster, Counts, Exit, Spoke, Volume
from histrio.systems.system import DeployedSystem, Launch, NodePlace, NodeStatus
from nemesis.injector import Apply, Probe, Undo
from workloads.session import Completion, Operation, Outcome

__all__ = ["FakeClient", "FakeCluster", "FakeMechanism", "Note", "Opener", "fake_system", "line"]

Note = Callable[[str], None]


def line(node: str, event: AnyTraceEvent, *, incarnation: int = 1, seq: int = 0) -> bytes:
    """One line of a trace."""
    return msgspec.json.encode(TraceLine(node=node, incarnation=incarnation, seq=seq, local_ns=0, event=event)) + b"\n"


class FakeCluster:
    """Nodes that are up 50 ms after their start and write a trace; the first to be up leads."""

    START_S = 0.05

    def __init__(self, nodes: tuple[str, ...], folder: Path, on_exit: Callable[[Exit], None], traced: bool) -> None:
        self.nodes, self._folder, self._on_exit, self._traced = nodes, folder, on_exit, traced
        self.alive: set[str] = set()
        self.leader: str | None = None
        self.term = 0
        self.bridge = "none"
        self.preloadable = True
        self.network_namespace = None
        self._incarnations = dict.fromkeys(nodes, 0)
        self._seq = dict.fromkeys(nodes, 0)

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(node for node in self.nodes if node in self.alive)

    @property
    def addresses(self) -> Mapping[str, str]:
        return {node: node for node in self.nodes}

    def pid(self, node: str) -> int | None:
        return None

    def incarnation(self, node: str) -> int:
        return self._incarnations[node]

    def volume(self, node: str) -> Volume:
        return Volume(self._folder / node, None)

    def records(self, node: str) -> Path:
        return self._folder / node

    def as_seen(self, node: str, path: Path) -> str:
        return str(path)

    def trace(self, node: str) -> Path | None:
        return self._folder / f"{node}.jsonl" if self._traced else None

    def set_environ(self, node: str, environ: Mapping[str, str]) -> None: ...

    async def remount(self, node: str) -> None: ...

    async def start(self, node: str) -> None:
        await trio.sleep(self.START_S)
        self._incarnations[node] += 1
        self._seq[node] = 0
        self.alive.add(node)
        self.write(node, Restored(term=self.term, voted_for=None, last_index=0, last_term=0))
        if self.leader is None:
            self.leader, self.term = node, self.term + 1
            self.write(node, Became(role="leader", term=self.term))

    def write(self, node: str, event: AnyTraceEvent) -> None:
        """The node reports something."""
        path = self.trace(node)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(line(node, event, incarnation=self._incarnations[node], seq=self._seq[node]))
            self._seq[node] += 1

    def end(self, node: str, *, planned: bool, time_ns: int = 0) -> None:
        """Its process is gone."""
        self.alive.discard(node)
        if self.leader == node:
            self.leader = None
        self._on_exit(Exit(node, time_ns, "exit code 70: ended", planned))

    async def kill(self, node: str) -> bool:
        existed = node in self.alive
        if existed:
            self.end(node, planned=True)
        return existed

    async def terminate(self, node: str) -> bool:
        return await self.kill(node)


class Opener:
    """Implements `OpenCluster`; remembers what became of the cluster."""

    def __init__(self, *, traced: bool = True) -> None:
        self._traced = traced
        self.cluster: FakeCluster | None = None
        self.removed = False

    @asynccontextmanager
    async def __call__(
        self,
        system: DeployedSystem,
        nodes: tuple[str, ...],
        folder: Path,
        *,
        now_ns: Callable[[], int],
        on_exit: Callable[[Exit], None],
    ) -> AsyncIterator[Cluster]:
        self.cluster = FakeCluster(nodes, folder, on_exit, self._traced)
        try:
            yield self.cluster
        finally:
            for node in self.cluster.running:
                self.cluster.end(node, planned=True)
            self.removed = True


class FakeClient:
    """Every operation succeeds after `latency_s`; what is read is what was written last."""

    def __init__(self, values: dict[object, object], note: Note, process: int, latency_s: float) -> None:
        self._values, self._note, self._process, self._latency_s = values, note, process, latency_s

    async def open(self, node: str) -> None:
        self._note(f"open {self._process} {node}")

    async def invoke(self, operation: Operation, operation_id: str) -> Completion:
        await trio.sleep(self._latency_s)
        value = operation.value
        if operation.f == "read":
            return Completion(outcome=Outcome.OK, value=self._values.get(operation.key))
        if operation.f == "cas":
            expected, value = operation.value
            if self._values.get(operation.key) != expected:
                return Completion(outcome=Outcome.FAIL, error="cas-mismatch")
        self._values[operation.key] = value
        return Completion(outcome=Outcome.OK, value=operation.value)

    async def close(self) -> None:
        self._note(f"close {self._process}")


def fake_system(
    note: Note, *, latency_s: float = 0.002, status: Callable[[str], NodeStatus | None] | None = None
) -> DeployedSystem:
    """A store in this process. status: what a node answers, for systems without a trace."""
    values: dict[object, object] = {}

    def launch(place: NodePlace, addresses: Mapping[str, str]) -> Launch:
        raise AssertionError("no process is started here")

    async def ask(address: str) -> NodeStatus | None:
        assert status is not None
        return status(address)

    return DeployedSystem(
        launch=launch,
        client=lambda process, addresses: FakeClient(values, note, process, latency_s),
        status=None if status is None else ask,
    )


class FakeMechanism:
    """Implements `RealMechanism`: notes its calls, each of which takes `takes_s`."""

    def __init__(self, cluster: Cluster, spoke: Spoke, note: Note, takes_s: float) -> None:
        self._cluster, self._spoke, self._note, self._takes_s = cluster, spoke, note, takes_s
        self.closed = False

    async def apply(self, action: Apply) -> str:
        await self._call(f"apply {action.fault.id}")
        for node in action.nodes:
            await self._cluster.kill(node)
        return f"end {' '.join(action.nodes)}"

    async def undo(self, action: Undo) -> Counts:
        await self._call(f"undo {action.fault_id}")
        for node in action.nodes:
            await self._cluster.start(node)
        return {"processes_ended": 1, "packets_dropped": 1}

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        return "reported" if all(self._spoke(node) > since_ns for node in probe.nodes) else None

    async def close(self) -> None:
        self._note("close mechanism")

    async def _call(self, name: str) -> None:
        self._note(f"{name} begins")
        await trio.sleep(self._takes_s)
        self._note(f"{name} ends")
