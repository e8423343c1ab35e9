"""Connections that peers and clients open to this node, from the first byte to the last.

Here belongs who may speak, how much and how slowly: everything a stranger can do costs bounded memory and time, and
ends with one line in the log. What requests and frames mean is the node's affair.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from socket import socket as Socket  # noqa: N812
from typing import Protocol

from raft_trio.messages import ClientReply, ClientRequest, PeerFrame
from raft_trio.shell.clock import now_ns
from raft_trio.shell.settings import Settings
from raft_trio.shell.sockets import Connection, Poller
from raft_trio.types import NodeId
from raft_trio.wire import (
    CLIENT_FRAME_BYTES_MAX,
    CLIENT_REQUEST,
    FRAME_BYTES_MAX,
    HELLO,
    HELLO_BYTES_MAX,
    PEER_FRAME,
    VERSION,
    Decoder,
    FrameError,
    Hello,
    encode,
)

__all__ = ["Callers", "Inputs"]

log = logging.getLogger(__name__)

CLIENT_OUT_BYTES_MAX = 16 << 20
"""Replies a client may leave lying around before it is hung up on."""
CLIENT_OUT_BYTES_PAUSE = 1 << 20
REQUESTS_UNDER_WAY_MAX = 4096
"""Of one client. Beyond either, nothing is read from it until it, or the node, has caught up."""
PARTIAL_BYTES_MAX = 128 << 20
"""Of incomplete frames on all connections together: two peers' largest frames, or many clients'."""
_MS = 1_000_000


class Inputs(Protocol):
    """Where what comes in goes: `raft_trio.node.Node`, or who stands before it."""

    def frame(self, now_ns: int, frame: PeerFrame) -> None:
        """A peer's."""
        ...

    def request(self, now_ns: int, connection: str, request: ClientRequest) -> None:
        """A client's."""
        ...

    def disconnected(self, now_ns: int, connection: str) -> None:
        """A client is gone."""
        ...


class Callers:
    """All of them."""

    def __init__(self, settings: Settings, introduce: Callable[[NodeId, str], str], inputs: Inputs) -> None:
        """`introduce` is asked about every node that calls, with its address: why it may not, or an empty string."""
        self.settings = settings
        self.introduce = introduce
        self.inputs = inputs
        self.partial_bytes = 0
        self._calls: dict[int, _Call] = {}
        self._clients: dict[str, _Call] = {}
        self._from_peers: dict[NodeId, _Call] = {}
        self._numbers = 0
        self.requests: dict[type, int] = {}
        """How many of each kind were taken, for the metrics."""
        self.refused = 0
        """Connections dropped for what they said or did, for the metrics."""

    @property
    def clients(self) -> int:
        """Clients connected."""
        return len(self._clients)

    @property
    def requests_under_way(self) -> int:
        """Requests taken and not answered yet, of all clients."""
        return sum(call.under_way for call in self._clients.values())

    def take(self, poller: Poller, sock: Socket) -> None:
        """Somebody connected."""
        if len(self._calls) >= self.settings.connections_max:
            sock.close()
            self.note(f"turned a connection away: {self.settings.connections_max} are open, see connections_max")
            return
        self._numbers += 1
        call = _Call(self, self._numbers)
        self._calls[self._numbers] = call
        call.connection = Connection(poller, sock, call, out_max=CLIENT_OUT_BYTES_MAX)
        call.connection.start()

    def reply(self, replies: tuple[tuple[str, ClientReply], ...]) -> None:
        """Sends to each client what there is for it, at once; those that are gone get nothing."""
        if len(replies) == 1:
            name, reply = replies[0]
            self._send(name, encode(reply), 1)
            return
        gathered: dict[str, list[bytes]] = {}
        for name, reply in replies:
            if name in gathered:
                gathered[name].append(encode(reply))
            else:
                gathered[name] = [encode(reply)]
        for name, chunks in gathered.items():
            self._send(name, chunks[0] if len(chunks) == 1 else b"".join(chunks), len(chunks))

    def check(self) -> None:
        """Hangs up on who is too slow: to introduce itself, to finish a frame, to take its replies. Every second."""
        now = now_ns()
        for call in list(self._calls.values()):
            problem = call.tardiness(now)
            if problem:
                call.refuse(problem)

    def rest(self) -> None:
        """Takes no more requests from clients; their answers still go out."""
        for call in self._clients.values():
            call.connection.read(wanted=False)

    # ── for calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def note(self, problem: str) -> None:
        """The line in the log."""
        self.refused += 1
        log.warning("%s: %s", self.settings.node_id, problem)

    def greeted(self, call: _Call, hello: Hello) -> None:
        """The call has said whose it is."""
        if hello.node is None:
            self._clients[call.name] = call
            return
        earlier = self._from_peers.get(hello.node)
        self._from_peers[hello.node] = call
        if earlier is not None:  # the peer has connected anew and speaks there no more
            earlier.connection.close("")

    def forget(self, call: _Call) -> None:
        """The call is over."""
        del self._calls[call.number]
        self.partial_bytes -= call.partial_bytes
        if self._clients.pop(call.name, None) is not None:
            self.inputs.disconnected(now_ns(), call.name)
        elif call.peer is not None and self._from_peers.get(call.peer) is call:
            del self._from_peers[call.peer]

    def _send(self, name: str, data: bytes, count: int) -> None:
        call = self._clients.get(name)
        if call is not None:
            call.answer(data, count)


class _Call:
    """One connection; a `raft_trio.shell.sockets.Receiver`."""

    __slots__ = (
        "_began_ns",
        "_callers",
        "_decoder",
        "_partial_ns",
        "connection",
        "greeted",
        "name",
        "number",
        "partial_bytes",
        "peer",
        "under_way",
    )

    connection: Connection

    def __init__(self, callers: Callers, number: int) -> None:
        self._callers = callers
        self._decoder = Decoder(limit=HELLO_BYTES_MAX)
        self._began_ns = now_ns()
        self._partial_ns = 0
        """When the oldest incomplete frame began; 0: none is."""
        self.number = number
        self.name = f"c{number}"
        self.greeted = False
        self.peer: NodeId | None = None
        self.under_way = 0
        self.partial_bytes = 0

    # ── as a receiver ────────────────────────────────────────────────────────────────────────────────────────────────

    def established(self) -> None:
        """Nothing is said before the caller has spoken."""

    def received(self, data: bytes) -> None:
        """Gives what is whole to the node."""
        now = now_ns()
        self._decoder.feed(data)
        try:
            if not self.greeted and not self._greet():
                return
            whole = self._requests(now) if self.peer is None else self._frames(now)
        except FrameError as error:
            self.refuse(str(error))
            return
        self._note_partial(now, begins=bool(whole))

    def closed(self, reason: str) -> None:
        """A reset by the other end is its right."""
        self._callers.forget(self)
        if reason.startswith("TLS"):
            self._callers.note(f"refused a connection: {reason}")

    # ── for the callers ──────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, data: bytes, count: int) -> None:
        """Sends replies; a client that does not take them is read no more, and in the end hung up on."""
        self.under_way -= count
        connection = self.connection
        if not connection.send(data):
            self.refuse("it does not take its replies")
        elif not connection.reads:
            self._resume()

    def refuse(self, problem: str) -> None:
        """Hangs up with a line in the log."""
        if self.connection.is_open:
            who = f"node {self.peer!r}" if self.peer is not None else self.name
            self._callers.note(f"closed the connection of {who}: {problem}")
            self.connection.close("")

    def tardiness(self, now: int) -> str:
        """Empty, or what takes too long."""
        settings = self._callers.settings
        if not self.greeted and now - self._began_ns > settings.handshake_timeout_ms * _MS:
            return f"it did not introduce itself within {settings.handshake_timeout_ms} ms"
        if self._partial_ns and now - self._partial_ns > settings.frame_timeout_ms * _MS:
            return f"it did not finish a frame within {settings.frame_timeout_ms} ms"
        return self._stalled(now, settings.frame_timeout_ms)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _stalled(self, now: int, timeout_ms: int) -> str:
        connection = self.connection
        if not connection.waiting_bytes:
            connection.stalled_since = None
        elif connection.stalled_since is None:
            connection.stalled_since = now
        elif now - connection.stalled_since > timeout_ms * _MS:
            return f"it took none of its replies for {timeout_ms} ms"
        if not connection.reads:
            self._resume()
        return ""

    def _greet(self) -> bool:
        hello = self._decoder.next(HELLO)
        if hello is None:
            return False
        problem = self._objection(hello)
        if problem:
            self.refuse(problem)
            return False
        self.greeted = True
        self.peer = hello.node
        self._decoder.limit = CLIENT_FRAME_BYTES_MAX if hello.node is None else FRAME_BYTES_MAX
        self._callers.greeted(self, hello)
        return True

    def _objection(self, hello: Hello) -> str:
        callers = self._callers
        if hello.version != VERSION:
            return f"it speaks version {hello.version}, this node {VERSION}"
        if hello.cluster != callers.settings.cluster:
            return f"it means cluster {hello.cluster!r}, this is {callers.settings.cluster!r}"
        if hello.node is None:
            return ""
        if callers.settings.tls is not None and hello.node not in self.connection.certificate_names():
            return f"its certificate does not name {hello.node!r}"
        return callers.introduce(hello.node, hello.address)

    def _requests(self, now: int) -> int:
        """How many there were."""
        requests = self._decoder.all(CLIENT_REQUEST)
        if not requests:
            return 0
        name, take = self.name, self._callers.inputs.request
        self.under_way += len(requests)
        counts = self._callers.requests
        for request in requests:
            kind = type(request)
            counts[kind] = counts.get(kind, 0) + 1
            take(now, name, request)
        if self.under_way > REQUESTS_UNDER_WAY_MAX or self.connection.waiting_bytes > CLIENT_OUT_BYTES_PAUSE:
            self.connection.read(wanted=False)
        return len(requests)

    def _resume(self) -> None:
        if self.under_way <= REQUESTS_UNDER_WAY_MAX // 2 and self.connection.waiting_bytes <= CLIENT_OUT_BYTES_PAUSE:
            self.connection.read(wanted=True)

    def _frames(self, now: int) -> int:
        """How many there were."""
        take = self._callers.inputs.frame
        frames = self._decoder.all(PEER_FRAME)
        for frame in frames:
            if frame.source == self.peer:
                take(now, frame)
        return len(frames)

    def _note_partial(self, now: int, *, begins: bool) -> None:
        """Keeps the books of incomplete frames; `begins`: what is incomplete now was not there before."""
        partial = self._decoder.partial_bytes
        if not partial and not self.partial_bytes:
            return
        callers = self._callers
        if not partial:
            self._partial_ns = 0
        elif begins or not self._partial_ns:
            self._partial_ns = now
        callers.partial_bytes += partial - self.partial_bytes
        self.partial_bytes = partial
        if callers.partial_bytes > PARTIAL_BYTES_MAX:
            self.refuse(f"{PARTIAL_BYTES_MAX} bytes of incomplete frames are waiting")
