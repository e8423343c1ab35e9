"""What a client does, without I/O: operations go in, requests come out, replies go in, an outcome comes out.

`Session` is the sans-IO half and runs in every environment; `Client` is the half that opens sockets and exists in real
worlds only. A harness client is bound to one node and never retries: a retry would hide what the system did.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import msgspec

__all__ = ["Client", "Completion", "Operation", "Outcome", "Session", "SessionStep"]


class Operation(msgspec.Struct, frozen=True):
    """What a generator asks a client to do, in the workload's words."""

    f: str
    key: Any = None
    value: Any = None


class Outcome(StrEnum):
    """Three outcomes, never two."""

    OK = "ok"
    FAIL = "fail"
    """Certainly did not happen and never will."""
    INFO = "info"
    """May or may not have happened, or may happen later."""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation ended."""

    outcome: Outcome
    value: Any = None
    """For `ok`: the result of a read, else the argument."""
    error: str | None = None
    """Short and from a closed set, such as `timeout` or `not-leader`."""
    position: tuple[int, int] | None = None
    """(term, index) in the replicated log, where the system says it."""


class SessionStep(msgspec.Struct, frozen=True):
    """What the session wants after one input."""

    sends: tuple[Any, ...] = ()
    """Payloads for `node`, in order."""
    deadline_ns: int | None = None
    """Call `wake` at this time unless another input comes first; None: no timer."""
    completion: Completion | None = None
    """The open operation ended."""
    node: str | None = None
    """Where `sends` go, for a client that looks for the leader: a connection to another node is given up for it, and
    what that one answers is not heard any more. None: the node that the session is bound to."""


class Session(Protocol):
    """The sans-IO half of a client: one process, one node, at most one open operation. Times in nanoseconds."""

    def invoke(self, now_ns: int, operation: Operation, operation_id: str) -> SessionStep:
        """Begin an operation. `operation_id` travels with it through the system and into the trace."""
        ...

    def received(self, now_ns: int, payload: Any) -> SessionStep:
        """The node answered. Answers to operations that have ended are ignored."""
        ...

    def disconnected(self, now_ns: int, *, delivered: bool) -> SessionStep:
        """The connection to the node broke.

        delivered: False when the transport knows that nothing of the open request reached the node (connection
        refused), which makes the failure definite.
        """
        ...

    def wake(self, now_ns: int) -> SessionStep:
        """The deadline has come."""
        ...


class Client(Protocol):
    """Drives sessions in a real world. Opened once per process."""

    async def open(self, node: str) -> None:
        """Bind to a node. Raises nothing for an unreachable one: invocations then complete as `fail`."""
        ...

    async def invoke(self, operation: Operation, operation_id: str) -> Completion:
        """Carry out one operation and tell how it ended; never raises for what the system did."""
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...
