"""Running a generator without a cluster, to see and to test what it does.

Here belong simulated completions and the loop that feeds them to the driver; nothing that starts or breaks a system.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from workloads.generator import Generator
from workloads.interpreter import Completed, GeneratorDriver, Invoke, Started, WakeAt, Woken
from workloads.session import Completion, Operation, Outcome

__all__ = ["Complete", "Latency", "SimulatedCall", "always", "register_machine", "simulate"]

Latency = int | Callable[[Random], int]
"""How long an operation takes, in nanoseconds: always, or drawn."""

Complete = Callable[[Operation, Random], Completion]
"""How an operation ends; called when it is invoked."""


class SimulatedCall(msgspec.Struct, frozen=True, kw_only=True):
    """An operation with its times; in the order of invocation."""

    thread: int
    process: int
    node: str
    operation: Operation
    invoked_ns: int
    completed_ns: int
    completion: Completion


def always(outcome: Outcome) -> Complete:
    """Every operation ends with `outcome` and its own argument as the result."""

    def complete(operation: Operation, random: Random) -> Completion:
        return Completion(outcome=outcome, value=operation.value)

    return complete


def register_machine() -> Complete:
    """A linearizable store of registers: each operation takes effect when it is invoked."""
    values: dict[Any, Any] = {}

    def complete(operation: Operation, random: Random) -> Completion:
        if operation.f == "read":
            return Completion(outcome=Outcome.OK, value=values.get(operation.key))
        if operation.f == "write":
            values[operation.key] = operation.value
        elif values.get(operation.key) != operation.value[0]:
            return Completion(outcome=Outcome.FAIL, error="cas-mismatch")
        else:
            values[operation.key] = operation.value[1]
        return Completion(outcome=Outcome.OK, value=operation.value)

    return complete


def simulate(
    generator: Generator,
    *,
    threads: int,
    latency: Latency = 1_000_000,
    seed: int = 0,
    nodes: tuple[str, ...] = ("n1", "n2", "n3"),
    complete: Complete | None = None,
    calls_max: int = 1_000_000,
) -> tuple[SimulatedCall, ...]:
    """All operations of the generator, until it is done or `calls_max` have been invoked. Equal seeds, equal answers.

    complete: every operation succeeds if None. Raises GeneratorStuck.
    """
    world = _World(GeneratorDriver(generator, threads=threads, nodes=nodes, seed=seed), latency, complete, seed)
    return world.run(calls_max)


class _World:
    """A heap of completions and wake-ups."""

    def __init__(self, driver: GeneratorDriver, latency: Latency, complete: Complete | None, seed: int) -> None:
        self._driver = driver
        self._latency = latency
        self._complete = complete or always(Outcome.OK)
        self._random = Random(f"{seed}/simulate")
        self._calls: list[SimulatedCall] = []
        self._heap: list[tuple[int, int, SimulatedCall]] = []

    def run(self, calls_max: int) -> tuple[SimulatedCall, ...]:
        wake_ns = self._step(0, Started())
        while len(self._calls) < calls_max and (self._heap or wake_ns is not None):
            if self._heap and (wake_ns is None or self._heap[0][0] <= wake_ns):
                now_ns, _, call = heapq.heappop(self._heap)
                wake_ns = self._step(now_ns, Completed(call.thread, call.completion))
            else:
                assert wake_ns is not None
                wake_ns = self._step(wake_ns, Woken())
        return tuple(self._calls[:calls_max])

    def _step(self, now_ns: int, event: Started | Woken | Completed) -> int | None:
        wake_ns: int | None = None
        for action in self._driver.step(now_ns, event):
            if isinstance(action, Invoke):
                self._invoke(now_ns, action)
            elif isinstance(action, WakeAt):
                wake_ns = action.at_ns
        return wake_ns

    def _invoke(self, now_ns: int, action: Invoke) -> None:
        latency_ns = self._latency if isinstance(self._latency, int) else self._latency(self._random)
        call = SimulatedCall(
            thread=action.thread,
            process=action.process,
            node=action.node,
            operation=action.operation,
            invoked_ns=now_ns,
            completed_ns=now_ns + latency_ns,
            completion=self._complete(action.operation, self._random),
        )
        heapq.heappush(self._heap, (call.completed_ns, len(self._calls), call))
        self._calls.append(call)
