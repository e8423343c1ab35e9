"""Random register histories, legal by construction, and ways to spoil them. Used by tests and measurements only."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec import structs

from checker.history import Operation, Outcome

__all__ = ["Shape", "random_history", "spoil"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What kind of history to draw."""

    operations: int
    clients: int
    values: int = 5
    """Written values are drawn from 0 … values-1; 0: every write is unique."""
    cas: float = 0.3
    read: float = 0.4
    crashed: float = 0.0
    ties: float = 0.0
    """Probability that an event has the same rank as the one before it."""
    mismatch: float = 0.0
    """Probability that a failed cas says that it compared."""


@dataclass(slots=True)
class _Client:
    operation: Operation | None = None
    applied: bool = False


@dataclass(slots=True)
class _World:
    rng: Random
    shape: Shape
    state: Any = None
    rank: int = 0
    unique: int = 0
    process: int = 0
    late: list[Operation] = field(default_factory=list)
    """Crashed, not yet effective."""

    def tick(self) -> int:
        if self.rng.random() >= self.shape.ties:
            self.rank += 1
        return self.rank

    def value(self) -> int:
        if self.shape.values:
            return self.rng.randrange(self.shape.values)
        self.unique += 1
        return self.unique

    def invoke(self, index: int) -> Operation:
        draw = self.rng.random()
        self.process += 1
        f: str
        value: Any
        if draw < self.shape.read:
            f, value = "read", None
        elif draw < self.shape.read + self.shape.cas:
            old = self.state if self.rng.random() < 0.7 else self.value()
            f, value = "cas", [old, self.value()]
        else:
            f, value = "write", self.value()
        return Operation(
            index=index,
            process=self.process,
            f=f,
            value=value,
            outcome=Outcome.INFO,
            call_order=self.tick(),
            return_order=None,
        )

    def apply(self, operation: Operation) -> Operation:
        result: Any = operation.value
        outcome, error = Outcome.OK, None
        if operation.f == "read":
            result = self.state
        elif operation.f == "write":
            self.state = operation.value
        elif self.state == operation.value[0]:
            self.state = operation.value[1]
        else:
            outcome, result = Outcome.FAIL, None
            error = "cas-mismatch" if self.rng.random() < self.shape.mismatch else None
        return structs.replace(operation, outcome=outcome, result=result, error=error)


def random_history(rng: Random, shape: Shape) -> list[Operation]:
    """A linearizable history of a cas-register, operations in the order of their calls."""
    world = _World(rng, shape)
    clients = [_Client() for _ in range(shape.clients)]
    done: list[Operation] = []
    called = 0
    while called < shape.operations or any(client.operation for client in clients):
        client = rng.choice(clients)
        if world.late and rng.random() < 0.05:
            world.apply(world.late.pop(rng.randrange(len(world.late))))
        if client.operation is None:
            if called < shape.operations:
                client.operation, client.applied = world.invoke(called), False
                called += 1
        elif not client.applied and rng.random() < shape.crashed:
            done.append(client.operation)
            world.late.append(client.operation)
            client.operation = None
        elif not client.applied:
            client.operation, client.applied = world.apply(client.operation), True
        else:
            done.append(structs.replace(client.operation, return_order=world.tick()))
            client.operation = None
    return sorted(done, key=lambda operation: operation.index)


def spoil(rng: Random, operations: list[Operation], shape: Shape) -> list[Operation]:
    """Change one result or argument: the history may or may not still be linearizable."""
    spoiled = list(operations)
    place = rng.randrange(len(spoiled))
    operation = spoiled[place]
    value = rng.randrange(max(shape.values, 4))
    match operation.f:
        case "read" if operation.outcome is Outcome.OK:
            spoiled[place] = structs.replace(operation, result=value)
        case "write":
            spoiled[place] = structs.replace(operation, value=value, result=operation.result and value)
        case "cas":
            flipped = Outcome.FAIL if operation.outcome is Outcome.OK else Outcome.OK
            outcome = operation.outcome if operation.outcome is Outcome.INFO else flipped
            error = "cas-mismatch" if outcome is Outcome.FAIL else None
            spoiled[place] = structs.replace(operation, outcome=outcome, error=error)
        case _:
            pass
    return spoiled
