"""raft_trio on real processes: how a node is started, and the client that speaks to it over TCP.

The client drives the same sessions as the simulator's; here are only its socket and its clock. Which errors
are definite the session says; whether a request may have left, this module.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping

import trio

from histrio.systems.system import DeployedSystem, Launch, NodePlace
from raft_trio.shell.clock import now_ns, trio_time
from raft_trio.wire import CLIENT_REPLY, VERSION, Decoder, FrameError, Hello, encode
from workloads.session import Completion, Operation, Session, SessionStep

__all__ = ["RaftTrioClient", "deploy"]

_PORT = 7100
_CLUSTER = "histrio"
_CONFIG = "node.toml"
_TRACE = "trace.jsonl"
_RECEIVE_BYTES = 1 << 16
_REFUSED_PAUSE_S = 0.02
"""A client that is refused at once asks again no sooner than a peer would: a dead node is no reason to spin."""

_PAPER = ("pre_vote = false", "check_quorum = false", "stickiness = false", "noop_on_election = false")
_NUMBERS = ("snapshot_threshold", "trailing_logs", "snapshot_chunk_bytes", "wal_segment_bytes")
"""Options that are settings of a node by the same name. What concerns clients is in the session."""


def deploy(*, bug: str | None, options: Mapping[str, str], session: Callable[[int], Session]) -> DeployedSystem:
    """The build that `bug` names, configured by options of the system. session: process -> what its client drives."""

    def launch(place: NodePlace, addresses: Mapping[str, str]) -> Launch:
        config = f"{place.records}/{_CONFIG}"
        planted = ("-m", "histrio.systems.raft_trio_node", "--bug", bug or "")
        program = planted if bug else ("-m", "raft_trio", "serve")
        return Launch(
            argv=(*place.python, *program, "--config", config),
            files={_CONFIG: _settings(place, addresses, options)},
            environ={},
            trace=_TRACE,
        )

    return DeployedSystem(
        launch=launch,
        client=lambda process, addresses: RaftTrioClient(addresses, session(process)),
    )


def _settings(place: NodePlace, addresses: Mapping[str, str], options: Mapping[str, str]) -> str:
    """The node's file. One that is no member at first knows all who are, and itself; those do not know it."""
    nodes = list(addresses)
    bootstrap = nodes[: int(options.get("members", len(nodes)))]
    joins = place.node not in bootstrap
    known = [*bootstrap, place.node] if joins else bootstrap
    members = ", ".join(f'{node} = "{addresses[node]}:{_PORT}"' for node in known)
    lines = [
        f'node_id = "{place.node}"',
        f'cluster = "{_CLUSTER}"',
        f'data_dir = "{place.data}"',
        f'trace = "{place.records}/{_TRACE}"',
        *(_PAPER if options.get("profile") == "paper" else ()),
        *(f"{name} = {int(options[name])}" for name in _NUMBERS if name in options),
        *(("lease_reads = true",) if options.get("lease_reads") == "on" else ()),
        *(("joins = true",) if joins else ()),
        f"members = {{ {members} }}",
    ]
    return "\n".join(lines) + "\n"


class RaftTrioClient:
    """Implements `workloads.session.Client`: one process, connected to one node at a time."""

    def __init__(self, addresses: Mapping[str, str], session: Session) -> None:
        self._addresses, self._session = addresses, session
        self._address = ""
        self._stream: trio.SocketStream | None = None
        self._decoder = Decoder()

    async def open(self, node: str) -> None:
        """Connects at the first operation, and again whenever the connection was lost."""
        self._address = self._addresses[node]

    async def invoke(self, operation: Operation, operation_id: str) -> Completion:
        """Drives the session from the request to the outcome, at the latest at its deadline."""
        step = self._session.invoke(now_ns(), operation, operation_id)
        while step.completion is None:
            assert step.deadline_ns is not None, "a session that waits has a deadline"
            with trio.move_on_at(trio_time(step.deadline_ns)) as patience:
                step = await self._advance(step)
            if patience.cancelled_caught:
                step = self._session.wake(now_ns())
        return step.completion

    async def close(self) -> None:
        """Hangs up."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.socket.close()  # at once, also while all else is being cancelled

    async def _advance(self, step: SessionStep) -> SessionStep:
        """Sends what the session wants sent; then one reply, or the end of the connection."""
        if step.sends:
            await self._turn_to(step.node)
            stream = await self._connected()
            if stream is None:
                await trio.sleep(_REFUSED_PAUSE_S)
                return self._session.disconnected(now_ns(), delivered=False)
            try:
                await stream.send_all(b"".join([encode(payload) for payload in step.sends]))
            except trio.BrokenResourceError:
                return await self._lost()
            except trio.Cancelled:
                await self.close()  # a part may have left, of which the next request would seem to be the rest
                raise
        if self._stream is None:
            await trio.sleep_forever()  # until the session's deadline: it waits before it asks another node
        return await self._receive()

    async def _turn_to(self, node: str | None) -> None:
        """Another node than the present one is connected to anew."""
        if node is not None and self._addresses[node] != self._address:
            await self.close()
            self._address = self._addresses[node]

    async def _connected(self) -> trio.SocketStream | None:
        """None: the node refuses."""
        if self._stream is not None and _has_ended(self._stream.socket):
            await self.close()
        if self._stream is None:
            try:
                stream = await trio.open_tcp_stream(self._address, _PORT)
            except OSError:
                return None
            self._stream, self._decoder = stream, Decoder()
            try:
                await stream.send_all(encode(Hello(VERSION, _CLUSTER)))
            except trio.BrokenResourceError:
                await self.close()
                return None
        return self._stream

    async def _receive(self) -> SessionStep:
        assert self._stream is not None, "something was sent"
        try:
            while (reply := self._decoder.next(CLIENT_REPLY)) is None:
                data = await self._stream.receive_some(_RECEIVE_BYTES)
                if not data:
                    return await self._lost()
                self._decoder.feed(data)
        except (trio.BrokenResourceError, FrameError):
            return await self._lost()
        return self._session.received(now_ns(), reply)

    async def _lost(self) -> SessionStep:
        await self.close()
        return self._session.disconnected(now_ns(), delivered=True)


def _has_ended(sock: trio.socket.SocketType) -> bool:
    """Whether the node hung up since the last operation: then a request on this connection could not arrive."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLRDHUP)
    return any(events & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))
