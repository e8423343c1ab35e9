"""The border between the simulator and a simulated node: what a node is asked and what it may ask for.

The simulator knows no Raft, no client and no harness. It delivers payloads, executes file operations, wakes nodes, and
counts time in integer nanoseconds. A node collects inputs while its (simulated) processor is busy and works on all of
them at once in `flush`: so batches form as they do in production.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from raft_trio.files import FileBatch, FileExecutor

__all__ = ["Address", "Effects", "NodeFactory", "Send", "SimNode"]

Address = str
"""Name of a node (`n1`) or of a client connection (`c17`)."""


class Send(msgspec.Struct, frozen=True, gc=False):
    """One wire unit: all that one flush has for one destination. `size` in bytes drives bandwidth; 0: not counted."""

    destination: Address
    payload: Any
    kind: str = ""
    """What it is, for the trace hash and for message filters."""
    size: int = 0


class Effects(msgspec.Struct, frozen=True, gc=False):
    """What one flush asks of the world. Sends leave at once; whatever waits for a sync comes in a later flush."""

    sends: Sequence[Send] = ()
    """To other nodes."""
    replies: Sequence[Send] = ()
    """To client connections."""
    batches: Sequence[FileBatch] = ()
    """Executed in order, one after the other; completion is reported by `io_done`."""
    wake_at_ns: int | None = None
    """Call `wake` at this time; replaces the previous request. None: no timer."""
    trace: Sequence[Any] = ()
    """Trace events in the node's own vocabulary, in order; written before the sends of this flush."""
    failed: str | None = None
    """The node ended itself (a failed sync, a broken invariant) for this reason."""


class SimNode(Protocol):
    """One incarnation of a node. All times are the node's own monotonic nanoseconds."""

    def start(self, now_ns: int, execute: FileExecutor) -> None:
        """Recover from disk. First call; `execute` may be used only during it."""
        ...

    def deliver(self, now_ns: int, source: Address, payload: Any) -> None:
        """A wire unit arrived."""
        ...

    def io_done(self, now_ns: int, token: int, error: OSError | None) -> None:
        """The file batch `token` was executed, or failed with `error`."""
        ...

    def wake(self, now_ns: int) -> None:
        """The requested time has come."""
        ...

    def disconnected(self, now_ns: int, source: Address) -> None:
        """A client connection is gone."""
        ...

    def flush(self, now_ns: int) -> Effects:
        """Work on all inputs since the last flush."""
        ...


NodeFactory = Callable[[Address, int], SimNode]
"""(name, incarnation from 1) -> a node that has not started."""
