"""Many non-blocking sockets behind one trio task: readiness, bytes in, bytes out, TLS where wanted.

A task per connection costs 20 to 30 microseconds of trio for every request. Here one task waits for one descriptor, the
selector's own, and then serves all sockets that are ready before anything is decided, so that a single hand-over of the
node answers all of them. What the bytes mean is none of this module's business.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from socket import socket as Socket  # noqa: N812
from typing import Protocol

import trio

from raft_trio.shell.tls import certificate_names

__all__ = ["Connection", "Poller", "Receiver"]

RECEIVE_BYTES = 1 << 16
_SEND_BYTES = 1 << 18
_TURNS_MAX = 8
"""Rounds of ready sockets served before other tasks get their chance."""

_NOT_YET = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Receiver(Protocol):
    """Whose connection it is."""

    def received(self, data: bytes) -> None:
        """Bytes came, at least one."""
        ...

    def established(self) -> None:
        """The TLS handshake is complete; called for plain connections, too."""
        ...

    def closed(self, reason: str) -> None:
        """The connection is over, whoever ended it; said once. Empty reason: an orderly end."""
        ...


class Poller:
    """Waits for sockets and has them served."""

    def __init__(self, turn: Callable[[], None]) -> None:
        """`turn` is called after each round in which sockets were ready."""
        self._selector = DefaultSelector()
        self._turn = turn
        self.connections: dict[int, Connection] = {}
        """By file descriptor, in the order of opening."""

    async def run(self) -> None:
        """Until cancelled."""
        fd = self._selector.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            for _ in range(_TURNS_MAX):
                if not self.serve():
                    break
                self._turn()

    def serve(self) -> bool:
        """Reads and writes what can be at this moment; whether there was anything."""
        ready = self._selector.select(0)
        for key, events in ready:
            key.data.ready(events)
        return bool(ready)

    def close(self) -> None:
        """Closes every connection, telling nobody."""
        for connection in list(self.connections.values()):
            connection.abandon()
        self._selector.close()

    # ── for connections ──────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self, connection: Connection, sock: Socket, events: int) -> None:
        """Begins to watch."""
        self._selector.register(sock, events, connection)
        self.connections[sock.fileno()] = connection

    def change(self, connection: Connection, sock: Socket, events: int) -> None:
        """Watches for other events; 0 is not possible for a selector, so nothing is watched for then."""
        if not events:
            with suppress(KeyError):
                self._selector.unregister(sock)
        else:
            try:
                self._selector.modify(sock, events, connection)
            except KeyError:
                self._selector.register(sock, events, connection)

    def forget(self, sock: Socket) -> None:
        """Watches no longer; before the socket is closed."""
        with suppress(KeyError):
            self._selector.unregister(sock)
        self.connections.pop(sock.fileno(), None)


class Connection:
    """One stream socket. Output that the kernel does not take at once is kept, up to a limit."""

    __slots__ = (
        "_events",
        "_out",
        "_out_max",
        "_poller",
        "_receiver",
        "_shaking",
        "_sock",
        "_tls",
        "_watched",
        "reads",
        "stalled_since",
    )

    def __init__(self, poller: Poller, sock: Socket, receiver: Receiver, *, out_max: int) -> None:
        """Takes over `sock`; an `ssl.SSLSocket` shakes hands first. Nothing is called before `start`."""
        sock.setblocking(False)
        self._poller = poller
        self._sock: Socket | None = sock
        self._receiver = receiver
        self._out = bytearray()
        self._out_max = out_max
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._shaking = self._tls
        self._watched = 0
        self.reads = True
        self.stalled_since: int | None = None
        """Set by whoever checks for receivers that do not receive; None while output flows."""

    def start(self) -> None:
        """Begins to shake hands and to receive."""
        assert self._sock is not None
        self._watched = EVENT_READ
        self._poller.watch(self, self._sock, EVENT_READ)
        if self._shaking:
            self._shake()
        else:
            self._receiver.established()

    @property
    def is_open(self) -> bool:
        """Not closed by either end yet, as far as known."""
        return self._sock is not None

    @property
    def waiting_bytes(self) -> int:
        """Output that the kernel has not taken yet."""
        return len(self._out)

    def certificate_names(self) -> frozenset[str]:
        """Who the other end has proved to be: names and common name of its certificate; none without TLS."""
        if not isinstance(self._sock, ssl.SSLSocket):
            return frozenset()
        return certificate_names(self._sock.getpeercert())

    def send(self, data: bytes) -> bool:
        """Sends now or later; False, and nothing is sent, where the receiver has fallen too far behind or is gone."""
        sock = self._sock
        if sock is None:
            return False
        if not self._out and not self._shaking:
            try:
                sent = sock.send(data)
            except _NOT_YET:
                sent = 0
            except OSError as error:
                self.close(str(error))
                return False
            if sent == len(data):
                return True
            data = data[sent:]
        elif len(self._out) + len(data) > self._out_max:
            return False
        self._out += data
        self._watch()
        return True

    def read(self, *, wanted: bool) -> None:
        """Stops or resumes reading: while it rests, the sender feels back-pressure."""
        if wanted != self.reads:
            self.reads = wanted
            self._watch()

    def close(self, reason: str) -> None:
        """Ends it and tells the receiver."""
        if self._sock is not None:
            self.abandon()
            self._receiver.closed(reason)

    def abandon(self) -> None:
        """Ends it and tells nobody."""
        if self._sock is not None:
            sock, self._sock = self._sock, None
            self._poller.forget(sock)
            sock.close()
            self._out.clear()

    def ready(self, events: int) -> None:
        """For the poller."""
        if self._shaking:
            if self._sock is not None:
                self._shake()
            return
        if events & EVENT_READ and self._sock is not None:
            self._pull()
        if events & EVENT_WRITE and self._sock is not None:
            self._push()

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _shake(self) -> None:
        assert isinstance(self._sock, ssl.SSLSocket)
        wants = EVENT_READ
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            wants = EVENT_READ | EVENT_WRITE
        except (OSError, ValueError) as error:
            self.close(f"TLS: {error}")
            return
        else:
            self._shaking = False
            self._receiver.established()
            if self._sock is not None:
                self._pull()
                self._push()
            return
        self._set_events(wants)

    def _pull(self) -> None:
        sock = self._sock
        assert sock is not None
        try:
            data = sock.recv(RECEIVE_BYTES)
            if self._tls:
                data += _decrypted(sock)
        except _NOT_YET:
            return
        except OSError as error:
            self.close(str(error))
            return
        if data:
            self._receiver.received(data)
        else:
            self.close("")

    def _push(self) -> None:
        out = self._out
        sock = self._sock
        if sock is None:
            return
        try:
            while out:
                with memoryview(out) as view, view[:_SEND_BYTES] as chunk:
                    sent = sock.send(chunk)
                del out[:sent]
                self.stalled_since = None
        except _NOT_YET:
            pass
        except OSError as error:
            self.close(str(error))
            return
        self._watch()

    def _watch(self) -> None:
        if not self._shaking:
            self._set_events((EVENT_READ if self.reads else 0) | (EVENT_WRITE if self._out else 0))

    def _set_events(self, events: int) -> None:
        if self._sock is not None and events != self._watched:
            self._watched = events
            self._poller.change(self, self._sock, events)


def _decrypted(sock: Socket) -> bytes:
    """What TLS holds already: a selector would not tell of it."""
    assert isinstance(sock, ssl.SSLSocket)
    data = b""
    while sock.pending():
        data += sock.recv(RECEIVE_BYTES)
    return data
