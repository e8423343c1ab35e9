"""A world whose nodes do what tests tell them: a payload that can be called is called with the node it reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from histrio.simulation.kernel import Simulation
from histrio.simulation.node import Address, Effects, Send
from histrio.simulation.profile import ClientProfile, DiskProfile, LinkProfile, ProcessProfile, Profile
from raft_trio.files import FileBatch, FileExecutor, FileOp

MS = 1_000_000

Input = tuple[int, str, Any]
"""(time worked on, what, from whom or token)"""

QUIET = Profile(
    links=LinkProfile(latency_min_ns=MS, latency_max_ns=MS, loss=0.0, duplication=0.0, reordering=0.0),
    disk=DiskProfile(sync_min_ns=MS, sync_max_ns=MS, stall_probability=0.0),
    processes=ProcessProfile(flush_ns=0, input_ns=0, restart_min_ns=MS, restart_max_ns=MS),
    clients=ClientProfile(latency_min_ns=0, latency_max_ns=0),
)
"""A world without luck: every latency is one millisecond, every service takes no time."""


class Actor:
    """A node that records its inputs and does what it is told."""

    def __init__(self, name: Address, incarnation: int) -> None:
        self.name, self.incarnation = name, incarnation
        self.inputs: list[Input] = []
        self.payloads: list[Any] = []
        self.flushes: list[list[Input]] = []
        self.at_start: Callable[[Actor, FileExecutor], None] | None = None
        self.execute: FileExecutor | None = None
        self.wake_at_ns: int | None = None
        self._sends: list[Send] = []
        self._replies: list[Send] = []
        self._batches: list[FileBatch] = []
        self._trace: list[Any] = []
        self._failed: str | None = None
        self._worked_on = 0

    def send(self, destination: Address, payload: Any, *, size: int = 0) -> None:
        self._sends.append(Send(destination, payload, "unit", size))

    def send_all(self, destination: Address, payloads: Iterable[Any], *, size: int = 0) -> None:
        for payload in payloads:
            self.send(destination, payload, size=size)

    def reply(self, client: Address, payload: Any) -> None:
        self._replies.append(Send(client, payload, "reply"))

    def write(self, token: int, *ops: FileOp) -> None:
        self._batches.append(FileBatch(token, ops))

    def trace(self, event: Any) -> None:
        self._trace.append(event)

    def fail(self, reason: str) -> None:
        self._failed = reason

    def start(self, now_ns: int, execute: FileExecutor) -> None:
        self.execute = execute
        self.inputs.append((now_ns, "start", None))
        if self.at_start is not None:
            self.at_start(self, execute)

    def deliver(self, now_ns: int, source: Address, payload: Any) -> None:
        self.inputs.append((now_ns, "deliver", source))
        self.payloads.append(payload)
        if callable(payload):
            payload(self)

    def io_done(self, now_ns: int, token: int, error: OSError | None) -> None:
        self.inputs.append((now_ns, "io_done" if error is None else type(error).__name__, token))

    def wake(self, now_ns: int) -> None:
        self.inputs.append((now_ns, "wake", None))
        self.wake_at_ns = None

    def disconnected(self, now_ns: int, source: Address) -> None:
        self.inputs.append((now_ns, "disconnected", source))

    def flush(self, now_ns: int) -> Effects:
        self.flushes.append(self.inputs[self._worked_on :])
        self._worked_on = len(self.inputs)
        effects = Effects(
            sends=self._sends,
            replies=self._replies,
            batches=self._batches,
            wake_at_ns=self.wake_at_ns,
            trace=self._trace,
            failed=self._failed,
        )
        self._sends, self._replies, self._batches, self._trace = [], [], [], []
        return effects


class World:
    """A simulation of actors, and what was heard from it."""

    def __init__(self, profile: Profile = QUIET, *, nodes: int = 3, seed: int = 1, event_budget: int = 10**6) -> None:
        self.simulation = Simulation(seed, profile, event_budget=event_budget, on_trace=self._on_trace)
        self.actors: dict[Address, Actor] = {}
        self.traces: list[tuple[Address, int, int, int, Any]] = []
        self.on_event: Callable[[Address, Any], None] | None = None
        self.at_start: Callable[[Actor, FileExecutor], None] | None = None
        for number in range(1, nodes + 1):
            self.simulation.add_node(f"n{number}", self._make)
            self.simulation.start(f"n{number}")
        self.simulation.run_until(100 * MS)

    def kill(self, node: Address, *, power_loss: bool = False) -> None:
        self.simulation.kill(node, power_loss=power_loss)

    def run_ms(self, milliseconds: float) -> None:
        self.simulation.run_until(self.simulation.now_ns + int(milliseconds * MS))

    def tell(self, node: Address, action: Callable[[Actor], None]) -> None:
        """Have the node do something at once, through a client's connection."""
        client = f"driver-{node}"
        if not self.simulation.is_connected(client):
            self.simulation.connect(client, node, _drop, _drop)
        self.simulation.request(client, action)

    def do(self, node: Address, action: Callable[[Actor], None]) -> None:
        """`tell`, and let it be done."""
        self.tell(node, action)
        self.run_ms(0.01)

    def actor(self, node: Address) -> Actor:
        """The incarnation that started last."""
        return self.actors[node]

    def restart(self, node: Address) -> Actor:
        self.simulation.start(node)
        self.simulation.run_until(self.simulation.now_ns + 200 * MS)
        return self.actors[node]

    def _make(self, name: Address, incarnation: int) -> Actor:
        actor = self.actors[name] = Actor(name, incarnation)
        actor.at_start = self.at_start
        return actor

    def _on_trace(self, node: Address, incarnation: int, first: int, local_ns: int, events: Sequence[Any]) -> None:
        for number, event in enumerate(events, first):
            self.traces.append((node, incarnation, number, local_ns, event))
            if self.on_event is not None:
                self.on_event(node, event)


def _drop(_: Any) -> None:
    pass


@pytest.fixture
def quiet() -> Profile:
    """The world without luck."""
    return QUIET


@pytest.fixture
def make_world() -> type[World]:
    """`make_world(profile)`: a world of three nodes that are up at 100 ms."""
    return World


@pytest.fixture
def world() -> World:
    """The world without luck, with three nodes that are up at 100 ms."""
    return World()
