"""A workload against a state machine alone: its generator, raft_trio's commands, and the checks, without a cluster.

Each command takes effect when it is called, so the history of a correct machine is legal; some answers are lost, before
or after the effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from checker.bite import check_bite
from checker.history import History
from checker.linearizability import check_history
from checker.models import MODELS
from checker.records import CheckResult, HistoryLine, LineType, Validity
from histrio.judge import WORKLOAD_RULES
from histrio.systems.raft_trio_encoding import ENCODINGS, Failed
from raft_trio import kv
from raft_trio.machine import StateMachine
from workloads.errors import outcome_of
from workloads.registry import WORKLOADS
from workloads.session import Completion, Operation, Outcome
from workloads.testing import SimulatedCall, simulate
from workloads.workload import WorkloadOptions

__all__ = ["Played", "judged", "play"]

NODES = ("n1", "n2", "n3")
LOST_OF_1000 = 15


@dataclass(slots=True)
class _World:
    """Clients of one machine. Leases need time: what clients tell is always behind what passes between operations."""

    machine: StateMachine
    workload: str
    now_ns: int = 0

    def complete(self, operation: Operation, random: Random) -> Completion:
        self.now_ns += 3_000_000
        draw = random.randrange(1000)
        if draw < LOST_OF_1000:
            return Completion(outcome=Outcome.INFO, error="timeout")
        answer = self.carry_out(operation)
        if draw < 2 * LOST_OF_1000:
            return Completion(outcome=Outcome.INFO, error="timeout")
        if isinstance(answer, Failed):
            return Completion(outcome=outcome_of(answer.error), error=answer.error)
        return Completion(outcome=Outcome.OK, value=answer)

    def carry_out(self, operation: Operation) -> Any:
        encoding = ENCODINGS[self.workload]
        request = encoding.request(operation, self.now_ns)
        carry_out = self.machine.query if isinstance(request, kv.Query) else self.machine.apply
        return encoding.answer(operation, kv.decode_result(carry_out(kv.encode(request))))


@dataclass(frozen=True, slots=True)
class Played:
    """A history and what the checks of the workload make of it."""

    history: History
    results: tuple[CheckResult, ...]

    @property
    def found(self) -> set[str]:
        """Names of the checks that found a violation."""
        return {result.name for result in self.results if result.validity is Validity.INVALID}


def play(workload: str, machine: Callable[[], StateMachine], *, seed: int = 1, seconds: int = 4) -> Played:
    """The load phase of `workload` and its final operations."""
    options = WorkloadOptions(
        threads=6, nodes=NODES, rate_hz=250, time_limit_ns=seconds * 10**9, seed=seed, operations_per_key=100
    )
    world = _World(machine(), workload)
    calls = _run(world, WORKLOADS[workload].generator(options), seed)
    keys = tuple(dict.fromkeys(call.operation.key for call in calls))
    final = _run(world, WORKLOADS[workload].final_generator(options, keys), seed + 1000)
    history = History(_lines((calls, final)))
    return Played(history, judged(workload, history, seed))


def judged(workload: str, history: History, seed: int) -> tuple[CheckResult, ...]:
    """The model's verdict, that of the workload's own checks, and the self-test."""
    name, rules = WORKLOADS[workload].model, WORKLOAD_RULES.get(workload, {})
    model = None if name is None else MODELS[name]
    results = [] if model is None else [check_history(history, model, explain=False)]
    results += [rule(history.operations) for rule in rules.values()]
    if WORKLOADS[workload].reads:
        bite = check_bite(
            history, model, reads=WORKLOADS[workload].reads, random=Random(f"{seed}/bite"), rules=tuple(rules.values())
        )
        results.append(bite)
    return tuple(results)


def _run(world: _World, generator: Any, seed: int) -> tuple[SimulatedCall, ...]:
    return simulate(
        generator,
        threads=6,
        nodes=NODES,
        seed=seed,
        latency=lambda random: random.randrange(1_000_000, 9_000_000),
        complete=world.complete,
    )


def _lines(stages: tuple[tuple[SimulatedCall, ...], ...]) -> list[HistoryLine]:
    """Both stages one after the other, with processes of their own."""
    events: list[tuple[int, int, int, SimulatedCall]] = []
    for stage, calls in enumerate(stages):
        events += [(stage, call.invoked_ns, 1, call) for call in calls]
        events += [(stage, call.completed_ns, 0, call) for call in calls]
    begin_ns = max((call.completed_ns for call in stages[0]), default=0) + 1
    lines: list[HistoryLine] = []
    for stage, time_ns, invoked, call in sorted(events, key=lambda event: event[:3]):
        operation, completion = call.operation, call.completion
        lines.append(
            HistoryLine(
                index=len(lines),
                time_ns=time_ns + stage * begin_ns,
                process=call.process + stage * 10_000,
                type=LineType.INVOKE if invoked else LineType(completion.outcome.value),
                f=operation.f,
                key=operation.key,
                value=operation.value if invoked else completion.value,
                error=None if invoked else completion.error,
                node=call.node,
            )
        )
    return lines
