"""What goes into the engine of a trial and what comes out of it: events and actions, as records."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nemesis.injector import Apply, Probe, Undo
from workloads.session import Completion, Operation

__all__ = [
    "EngineAction",
    "EngineEvent",
    "FaultReported",
    "Finish",
    "InvokeOperation",
    "NodeReported",
    "OperationEnded",
    "TimePassed",
    "WakeEngine",
]


class TimePassed(msgspec.Struct, frozen=True):
    """The time asked for by `WakeEngine` has come; also the first event of all."""


class OperationEnded(msgspec.Struct, frozen=True):
    """The operation of `thread` ended."""

    thread: int
    completion: Completion


class NodeReported(msgspec.Struct, frozen=True):
    """A node did something a fault may be waiting for, such as `became-leader`."""

    node: str
    event: str


class FaultReported(msgspec.Struct, frozen=True):
    """A mechanism's counted consequences."""

    fault_id: str
    counts: Mapping[str, int]


EngineEvent = TimePassed | OperationEnded | NodeReported | FaultReported


class InvokeOperation(msgspec.Struct, frozen=True):
    """Begin an operation: `process` is the logical client that `thread` now is."""

    thread: int
    process: int
    node: str
    operation: Operation
    operation_id: str


class WakeEngine(msgspec.Struct, frozen=True):
    """Send `TimePassed` at this time; replaces the previous request."""

    time_ns: int


class Finish(msgspec.Struct, frozen=True):
    """The trial is over."""


EngineAction = InvokeOperation | WakeEngine | Finish | Apply | Undo | Probe
