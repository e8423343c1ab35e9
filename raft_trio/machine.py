"""The state machine that Raft replicates, as a protocol. Knows nothing of logs, sessions or networks."""

from __future__ import annotations

from typing import Protocol

__all__ = ["StateMachine"]


class StateMachine(Protocol):
    """A deterministic function of the commands applied so far: no clock, no randomness, no I/O, no order of sets.

    Commands come from clients and may be anything: what makes no sense has a result that says so. Raising from `apply`
    or `query` would stop every node of the cluster at the same entry.
    """

    def apply(self, command: bytes) -> bytes:
        """Changes the state and returns the result for the client."""
        ...

    def query(self, command: bytes) -> bytes:
        """The result of a command that changes nothing."""
        ...

    def snapshot(self) -> bytes:
        """The whole state; equal states give equal bytes."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Replaces the state."""
        ...
