"""What goes into the loop that drives a generator and what comes out of it (`workloads.interpreter`), as records."""

from __future__ import annotations

import msgspec

from workloads.session import Completion, Operation

__all__ = ["Action", "Completed", "DriverEvent", "Exhausted", "Invoke", "Started", "WakeAt", "Woken"]


class Started(msgspec.Struct, frozen=True):
    """The phase has begun: ask for the first operations. Also what follows `continue_with`."""


class Woken(msgspec.Struct, frozen=True):
    """The time of the last `WakeAt` has come. Coming early, late or without need does no harm."""


class Completed(msgspec.Struct, frozen=True):
    """The open operation of `thread` has ended."""

    thread: int
    completion: Completion


DriverEvent = Started | Woken | Completed


class Invoke(msgspec.Struct, frozen=True):
    """Begin `operation`. A process number not seen before asks for a new session to `node`."""

    thread: int
    process: int
    node: str
    operation: Operation


class WakeAt(msgspec.Struct, frozen=True):
    """Send `Woken` at `at_ns`. Replaces the request before."""

    at_ns: int


class Exhausted(msgspec.Struct, frozen=True):
    """The generator is done and no operation is open. Sent once per generator."""


Action = Invoke | WakeAt | Exhausted
