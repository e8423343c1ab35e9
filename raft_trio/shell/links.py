"""The connection to one peer: this node's own, for sending only, opened again whenever it breaks.

A link that breaks loses what it carried, and nothing is sent twice: Raft repeats what matters.
"""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress

import trio

from raft_trio.shell.settings import Address
from raft_trio.shell.sockets import Connection, Poller
from raft_trio.types import NodeId

__all__ = ["PeerLink"]

log = logging.getLogger(__name__)

PENDING_BYTES_MAX = 64 << 20
"""Beyond it a peer is taken for dead and loses frames."""

_CONNECT_S = 1.0
_RETRY_S_MIN = 0.02
_RETRY_S_MAX = 0.5


class PeerLink:
    """The sending direction to one peer; a `raft_trio.shell.sockets.Receiver`."""

    def __init__(
        self, peer: NodeId, address: Address, hello: bytes, *, tls: ssl.SSLContext | None, timeout_ms: int
    ) -> None:
        """`timeout_ms`: the connection is given up when nothing it sends is acknowledged for so long."""
        self._peer = peer
        self._address = address
        self._hello = hello
        self._tls = tls
        self._timeout_ms = timeout_ms
        self._connection: Connection | None = None
        self._ready = False
        """The peer has proved who it is, and was told who we are."""
        self._over = trio.Event()
        self._complaint = ""

    @property
    def is_connected(self) -> bool:
        """What is sent now has a chance to arrive."""
        return self._ready

    def send(self, data: bytes) -> None:
        """Sends soon, or never when there is no connection: old news is worth nothing after a reconnect."""
        if self._ready and self._connection is not None:
            self._connection.send(data)

    async def run(self, poller: Poller) -> None:
        """Until cancelled."""
        retry_s = _RETRY_S_MIN
        while True:
            began = trio.current_time()
            sock = await self._connect()
            if sock is not None:
                await self._use(poller, sock)
            if trio.current_time() - began > _CONNECT_S:
                retry_s = _RETRY_S_MIN
            await trio.sleep(retry_s)
            retry_s = min(2 * retry_s, _RETRY_S_MAX)

    # ── as a receiver ────────────────────────────────────────────────────────────────────────────────────────────────

    def established(self) -> None:
        """Makes sure whom we talk to before saying anything."""
        connection = self._connection
        assert connection is not None
        if self._tls is not None and self._peer not in connection.certificate_names():
            connection.close(f"TLS: the certificate there does not name {self._peer!r}")
            return
        self._ready = connection.send(self._hello)

    def received(self, data: bytes) -> None:
        """The peer never speaks on this connection."""
        if self._connection is not None:
            self._connection.close("it spoke, which no peer does here")

    def closed(self, reason: str) -> None:
        """Connects again; a problem that repeats itself is told once."""
        self._ready = False
        self._over.set()
        if reason != self._complaint and (reason.startswith("TLS") or "spoke" in reason):
            log.warning("the connection to %s: %s", self._peer, reason)
        self._complaint = reason

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _connect(self) -> socket.socket | None:
        with trio.move_on_after(_CONNECT_S), suppress(OSError):
            stream = await trio.open_tcp_stream(*self._address)
            return _plain(stream, self._timeout_ms)
        return None

    async def _use(self, poller: Poller, sock: socket.socket) -> None:
        """Until it breaks."""
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=False, do_handshake_on_connect=False)
        self._over = trio.Event()
        self._connection = connection = Connection(poller, sock, self, out_max=PENDING_BYTES_MAX)
        try:
            connection.start()
            with trio.move_on_after(_CONNECT_S):
                await self._over.wait()
            if not self._ready:
                connection.close("TLS: no handshake in time")
            await self._over.wait()
        finally:
            self._ready = False
            connection.abandon()
            self._connection = None


def _plain(stream: trio.SocketStream, timeout_ms: int) -> socket.socket:
    """The socket itself. Without a limit TCP takes minutes to notice, after a partition has healed, that it has."""
    sock = socket.socket(fileno=stream.socket.detach())
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
    return sock
