"""The node's trace as JSON lines: what it did, for checkers and for people."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from raft_trio.trace import TraceEvent
from raft_trio.types import NodeId

__all__ = ["TraceFile", "TraceRecord"]


class TraceRecord(msgspec.Struct, frozen=True, gc=False):
    """One line. `seq` counts the events of an incarnation from 0; `local_ns` is the node's own clock."""

    node: NodeId
    incarnation: int
    seq: int
    local_ns: int
    event: TraceEvent


class TraceFile:
    """Appends to a file. A flush has reached the kernel when `write` returns: a killed node loses nothing."""

    def __init__(self, path: Path, node: NodeId, incarnation: int) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._node = node
        self._incarnation = incarnation
        self._seq = 0
        self._encoder = msgspec.json.Encoder()

    def write(self, local_ns: int, events: tuple[TraceEvent, ...]) -> None:
        """Raises OSError."""
        node, incarnation, first = self._node, self._incarnation, self._seq
        self._seq += len(events)
        records = [TraceRecord(node, incarnation, seq, local_ns, event) for seq, event in enumerate(events, first)]
        view = memoryview(self._encoder.encode_lines(records))
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
