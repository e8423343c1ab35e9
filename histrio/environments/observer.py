"""What the harness knows of real nodes: who leads, who is up, when each last spoke, and what it did.

Nodes that write a trace are followed through its file, which also goes to the run's record line by line; others are
asked for their status. Here belong reading and interpreting; nothing here acts on nodes. Times are nanoseconds of the
harness's clock: when a line was read, not when it was written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from checker.records import Became, NodeClock, Snapshot, TraceEvent, TraceLine
from histrio.environments.cluster import Cluster
from histrio.errors import HarnessFailure
from histrio.systems.system import NodeStatus
from nemesis.targets import ClusterView

__all__ = ["Observer"]

_CHUNK_BYTES = 1 << 20
_BECAME = "became"
_INSTALLING = "snapshot-installing"
_LINE = msgspec.json.Decoder(TraceLine)

Reported = Callable[[str, str], None]
"""(node, event), such as `became-leader`: something a fault may be waiting for."""


class _File:
    """One node's trace, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._offset = 0
        self._partial = b""

    def read(self) -> bytes:
        """Whole lines that were not read before."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return b""
        data = os.pread(self._descriptor, _CHUNK_BYTES, self._offset)
        if not data:
            return b""
        self._offset += len(data)
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._partial += data
            return b""
        lines, self._partial = self._partial + data[:end], data[end:]
        return lines

    def forget_partial(self) -> None:
        """The writer is gone and does not finish its line; the next one begins another right behind it."""
        self._partial = b""

    def close(self) -> None:
        """No more of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Observer:
    """Follows the nodes of one run. Call `poll` again and again, `answered` with what nodes answer."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        now_ns: Callable[[], int],
        record: Callable[[bytes], None],
        watched: Callable[[], frozenset[str]],
        reported: Reported,
    ) -> None:
        self._cluster, self._now_ns, self._record = cluster, now_ns, record
        self._watched, self._reported = watched, reported
        paths = {node: cluster.trace(node) for node in cluster.nodes}
        self._files = {node: _File(path) for node, path in paths.items() if path is not None}
        self._heard: set[str] = set()
        """Nodes that have spoken since they were started."""
        self._roles: dict[str, tuple[int, str]] = {}
        self._spoke_at: dict[str, int] = {}
        self._clocks: list[NodeClock] = []
        self._known: ClusterView | None = None
        self._interesting: tuple[frozenset[str], re.Pattern[bytes]] | None = None

    def view(self) -> ClusterView:
        """The cluster now. Up is a node whose process runs and has spoken since its start."""
        if self._known is None:
            up = tuple(node for node in self._cluster.running if node in self._heard)
            roles = [(*self._roles[node], node) for node in up if node in self._roles]
            leaders = [(term, node) for term, role, node in roles if role == "leader"]
            self._known = ClusterView(nodes=self._cluster.nodes, leader=max(leaders)[1] if leaders else None, up=up)
        return self._known

    def spoke(self, node: str) -> int:
        """When it last spoke; -1: never."""
        return self._spoke_at.get(node, -1)

    @property
    def clocks(self) -> tuple[NodeClock, ...]:
        """How far the nodes' clocks are from the harness's, as seen when each incarnation was first heard."""
        return tuple(self._clocks)

    def poll(self) -> None:
        """Read what the nodes have written since the last time. Raises HarnessFailure for what is no trace."""
        for node in self._files:
            self._follow(node)

    def answered(self, node: str, status: NodeStatus) -> None:
        """A node without a trace has said what it is."""
        self._hear(node)
        self._take_role(node, status.role, status.term)

    def ended(self, node: str) -> None:
        """Its process is gone: what it wrote last is read, and it is unknown until it speaks again."""
        if node in self._files:
            self._follow(node)
            self._files[node].forget_partial()
        self._heard.discard(node)
        self._roles.pop(node, None)
        self._known = None

    def close(self) -> None:
        """Read what is left and close the files."""
        for node, file in self._files.items():
            self._follow(node)
            file.close()

    def _follow(self, node: str) -> None:
        while lines := self._files[node].read():
            self._record(lines)
            if node not in self._heard:
                self._compare_clocks(node, lines)
            self._hear(node)
            if self._pattern().search(lines):
                self._interpret(node, lines)

    def _compare_clocks(self, node: str, lines: bytes) -> None:
        first = _decoded(node, lines[: lines.index(b"\n")])
        offset_ns = self._now_ns() - first.local_ns
        self._clocks.append(NodeClock(node=node, incarnation=first.incarnation, offset_ns=offset_ns))

    def _hear(self, node: str) -> None:
        self._spoke_at[node] = self._now_ns()
        if node not in self._heard:
            self._heard.add(node)
            self._known = None

    def _pattern(self) -> re.Pattern[bytes]:
        """Matches lines of events that matter: changes of role, and what faults wait for."""
        watched = self._watched()
        if self._interesting is None or self._interesting[0] != watched:
            tags = "|".join(sorted({_BECAME, *(name.partition("-")[0] for name in watched)}))
            self._interesting = watched, re.compile(rf'"type"\s*:\s*"(?:{tags})"'.encode())
        return self._interesting[1]

    def _interpret(self, node: str, lines: bytes) -> None:
        """`watched` is asked for every line: what was reported may have started what one line later waited for."""
        for line in lines.splitlines():
            if self._pattern().search(line):
                self._report(node, _decoded(node, line).event)

    def _report(self, node: str, event: TraceEvent) -> None:
        if isinstance(event, Became):
            self._take_role(node, event.role, event.term)
        elif isinstance(event, Snapshot):
            if event.installed and _INSTALLING in self._watched():
                self._reported(node, _INSTALLING)
        elif (name := str(event.__struct_config__.tag)) in self._watched():
            self._reported(node, name)

    def _take_role(self, node: str, role: str, term: int) -> None:
        if self._roles.get(node) == (term, role):
            return
        self._roles[node] = (term, role)
        self._known = None
        if (name := f"{_BECAME}-{role}") in self._watched():
            self._reported(node, name)


def _decoded(node: str, line: bytes) -> TraceLine:
    try:
        return _LINE.decode(line)
    except msgspec.DecodeError as error:
        raise HarnessFailure(
            f"a line of the trace of {node} cannot be read: {line[:200]!r}",
            why=str(error),
            fix="a trace is lines of checker.records.TraceLine",
        ) from error
