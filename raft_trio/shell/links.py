"""Connections: one to each peer for sending, and those that peers and clients open to this node.

Here belongs getting bytes in and out; what they mean is decided by `raft_trio.wire` and the node. A link that breaks
loses what it carried, and nothing is sent twice: Raft repeats what matters.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from raft_trio.shell.settings import Address

__all__ = ["Outgoing", "PeerLink"]

PENDING_BYTES_MAX = 64 << 20
"""Beyond it a receiver is taken for dead: peers lose frames, clients their connection."""

_CONNECT_S = 1.0
_RETRY_S_MIN = 0.02
_RETRY_S_MAX = 0.5
_RECEIVE_BYTES = 64


class Outgoing:
    """Bytes waiting for one connection; whatever gathers while a send is under way leaves in the next one."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._kick = trio.Event()

    def put(self, data: bytes) -> bool:
        """Queues `data`; False, and nothing queued, when the receiver has fallen too far behind."""
        if self._size + len(data) > PENDING_BYTES_MAX:
            return False
        self._chunks.append(data)
        self._size += len(data)
        self._kick.set()
        return True

    def clear(self) -> None:
        """Forgets what waits."""
        self._chunks.clear()
        self._size = 0

    async def send_to(self, stream: trio.SocketStream) -> None:
        """Until cancelled. Raises trio.BrokenResourceError when the connection breaks."""
        while True:
            await self._kick.wait()
            self._kick = trio.Event()
            data = b"".join(self._chunks)
            self.clear()
            if data:
                await stream.send_all(data)


class PeerLink:
    """The sending direction to one peer, connected again whenever it breaks."""

    def __init__(self, address: Address, hello: bytes) -> None:
        self._address = address
        self._hello = hello
        self._outgoing: Outgoing | None = None
        """None: not connected."""

    def send(self, data: bytes) -> None:
        """Sends soon, or never when there is no connection: old news is worth nothing after a reconnect."""
        if self._outgoing is not None:
            self._outgoing.put(data)

    async def run(self) -> None:
        """Until cancelled."""
        retry_s = _RETRY_S_MIN
        while True:
            stream = await self._connect()
            if stream is not None:
                retry_s = _RETRY_S_MIN
                async with stream:
                    await self._use(stream)
            await trio.sleep(retry_s)
            retry_s = min(2 * retry_s, _RETRY_S_MAX)

    async def _connect(self) -> trio.SocketStream | None:
        with trio.move_on_after(_CONNECT_S):
            try:
                return await trio.open_tcp_stream(*self._address)
            except OSError:
                return None
        return None

    async def _use(self, stream: trio.SocketStream) -> None:
        self._outgoing = outgoing = Outgoing()
        outgoing.put(self._hello)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, stream, nursery.cancel_scope)
                nursery.start_soon(self._send, outgoing, stream, nursery.cancel_scope)
        finally:
            self._outgoing = None

    async def _send(self, outgoing: Outgoing, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            await outgoing.send_to(stream)
        except trio.BrokenResourceError:
            scope.cancel()

    async def _watch(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        """The peer never speaks on this connection: anything that comes means that it is over."""
        with suppress(trio.BrokenResourceError):
            await stream.receive_some(_RECEIVE_BYTES)
        scope.cancel()
