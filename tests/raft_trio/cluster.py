"""A cluster of nodes in one event loop with a fixed latency: enough to test nodes, no simulator of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from random import Random
from typing import Any

from raft_trio.build import BUILD, Build
from raft_trio.config import RaftNodeConfig
from raft_trio.messages import ClientReply, ClientRequest, PeerFrame
from raft_trio.node import Node
from raft_trio.trace import TraceEvent
from raft_trio.types import NodeId, Role
from tests.raft_trio.disk import MemoryDisk

__all__ = ["MS", "Cluster"]

MS = 1_000_000
LATENCY = MS
SYNC = MS // 2
ANY = 0
"""In place of an incarnation."""


class Cluster:
    """Nodes n1..nN, their disks and everything in flight. Time moves only in `run`."""

    def __init__(
        self,
        size: int = 3,
        *,
        seed: int = 1,
        build: Build = BUILD,
        timeout_ms: int = 150,
        voters: int | None = None,
        **numbers: Any,
    ) -> None:
        """`voters`: members at first, by default all. `numbers`: further fields of every node's configuration."""
        self.ids = tuple(f"n{k}" for k in range(1, size + 1))
        self.bootstrap = self.ids[:voters]
        self.now = 0
        self.nodes: dict[NodeId, Node] = {}
        self.disks = {node: MemoryDisk() for node in self.ids}
        self.replies: dict[str, list[ClientReply]] = {}
        self.trace: list[tuple[NodeId, TraceEvent]] = []
        self.failed: dict[NodeId, str] = {}
        self.cut: set[tuple[NodeId, NodeId]] = set()
        self.slow_disks: set[NodeId] = set()
        self.intercept: Callable[[NodeId, PeerFrame], int] = lambda to, frame: 1
        """How many copies of a frame arrive."""
        self.delay_ns: Callable[[], int] = lambda: 0
        """What a frame's travel takes longer than the usual."""
        self._numbers = numbers
        self._seed, self._build, self._timeout_ns = seed, build, timeout_ms * MS
        self._incarnations = dict.fromkeys(self.ids, 0)
        self._heap: list[tuple[int, int, NodeId, int, Callable[[Node], None]]] = []
        self._order = 0
        self._wake: dict[NodeId, int] = {}
        for node in self.ids:
            self.start(node)

    def start(self, node: NodeId) -> None:
        self._incarnations[node] += 1
        incarnation = self._incarnations[node]
        config = RaftNodeConfig(
            node,
            self.bootstrap if node in self.bootstrap else (),
            election_timeout_min_ns=self._timeout_ns,
            election_timeout_max_ns=2 * self._timeout_ns,
        )
        config = replace(config, **self._numbers)
        self.nodes[node] = Node(node, incarnation, config, self._build, Random(f"{self._seed}/{node}/{incarnation}"))
        self.failed.pop(node, None)
        self.nodes[node].start(self.now, self.disks[node])
        self._flush(node)

    def kill(self, node: NodeId, *, power: bool = False) -> None:
        del self.nodes[node]
        if power:
            self.disks[node].power_loss(Random(f"{self._seed}/{node}/{self.now}"))

    def isolate(self, node: NodeId) -> None:
        self.cut |= {pair for other in self.ids for pair in ((node, other), (other, node))}

    def request(self, node: NodeId, connection: str, request: ClientRequest) -> None:
        self._post(node, 0, lambda n: n.request(self.now, connection, request))

    def run(self, for_ms: int, until: Callable[[], bool] = lambda: False) -> None:
        """Lets time pass, at most until `until` holds."""
        end = self.now + for_ms * MS
        while not until():
            wake = min(((at, node) for node, at in self._wake.items() if node in self.nodes), default=(end + 1, ""))
            if self._heap and self._heap[0][0] <= wake[0]:
                at, _, node, incarnation, act = heappop(self._heap)
                if at > end:
                    heappush(self._heap, (at, _, node, incarnation, act))
                    break
                self.now = at
                if node not in self.nodes or incarnation not in (ANY, self._incarnations[node]):
                    continue
                act(self.nodes[node])
            elif wake[0] <= end:
                self.now, node = max(wake[0], self.now), wake[1]
                self.nodes[node].wake(self.now)
            else:
                break
            self._flush(node)
        else:
            return
        self.now = end

    def leader(self) -> NodeId:
        """The one leader there is, after waiting for it."""

        def leaders() -> list[NodeId]:
            return [node for node in self.nodes if self.nodes[node].role is Role.LEADER]

        self.run(3000, until=lambda: len(leaders()) == 1)
        (leader,) = leaders()
        return leader

    def followers(self) -> list[NodeId]:
        leader = self.leader()
        self.run(200)
        return [node for node in self.ids if node != leader and node in self.nodes]

    def ask(self, node: NodeId, request: ClientRequest, *, wait_ms: int = 1000) -> ClientReply:
        """Sends a request on a connection of its own and returns the one reply."""
        connection = f"c{len(self.replies)}"
        self.replies[connection] = []
        self.request(node, connection, request)
        self.run(wait_ms, until=lambda: bool(self.replies[connection]))
        (reply,) = self.replies[connection]
        return reply

    def _post(self, node: NodeId, delay_ns: int, act: Callable[[Node], None], *, outlives: bool = False) -> None:
        """Later; `outlives`: also when the node has restarted by then, as a network does it."""
        self._order += 1
        incarnation = ANY if outlives else self._incarnations[node]
        heappush(self._heap, (self.now + delay_ns, self._order, node, incarnation, act))

    def _flush(self, node: NodeId) -> None:
        effects = self.nodes[node].flush(self.now)
        self.trace += [(node, event) for event in effects.trace]
        if effects.failed is not None:
            self.failed[node] = effects.failed
            del self.nodes[node]
            return
        assert effects.wake_at_ns is not None
        self._wake[node] = effects.wake_at_ns
        for connection, reply in effects.replies:
            self.replies.setdefault(connection, []).append(reply)
        for batch in effects.batches:
            for op in batch.ops:
                self.disks[node](op)
            if node not in self.slow_disks:
                self._post(node, SYNC, self._io_done(batch.token))
        for to, frame in effects.frames:
            if (node, to) not in self.cut:
                for _ in range(self.intercept(to, frame)):
                    self._deliver(to, frame)

    def _deliver(self, to: NodeId, frame: PeerFrame) -> None:
        self._post(to, LATENCY + self.delay_ns(), lambda node: node.frame(self.now, frame), outlives=True)

    def _io_done(self, token: int) -> Callable[[Node], None]:
        return lambda node: node.io_done(self.now, token, None)
