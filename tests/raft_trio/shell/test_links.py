"""The sending direction to a peer: opened again whenever it breaks, never a reason to hold anything up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from raft_trio.client import open_client
from raft_trio.messages import PeerFrame
from raft_trio.shell.host import serve
from raft_trio.shell.links import PENDING_BYTES_MAX, PeerLink
from raft_trio.shell.settings import Settings
from raft_trio.shell.sockets import Poller
from raft_trio.wire import HELLO, PEER_FRAME, VERSION, Decoder, Hello, encode, encode_peer_frame
from tests.raft_trio.shell.processes import free_addresses

GREETING = Hello(VERSION, "raft", "n1", 1, "h:1")


class Peer:
    """Listens, and keeps what it hears on each connection."""

    def __init__(self) -> None:
        self.heard: list[Decoder] = []
        self.streams: list[trio.SocketStream] = []
        self.came = trio.Event()

    async def take(self, stream: trio.SocketStream) -> None:
        decoder = Decoder()
        self.heard.append(decoder)
        self.streams.append(stream)
        came, self.came = self.came, trio.Event()
        came.set()
        try:
            while data := await stream.receive_some(1 << 16):
                decoder.feed(data)
                came, self.came = self.came, trio.Event()
                came.set()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[PeerLink, Peer]]:
    peer = Peer()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, peer.take, 0)
            address = "127.0.0.1", listeners[0].socket.getsockname()[1]
            poller = Poller(lambda: None)
            link = PeerLink("n2", address, encode(GREETING), tls=None, timeout_ms=1000)
            nursery.start_soon(poller.run)
            nursery.start_soon(link.run, poller)
            yield link, peer
            nursery.cancel_scope.cancel()
        poller.close()


async def greeted(peer: Peer, connection: int) -> None:
    """Until the connection of that number has begun as it must."""
    while len(peer.heard) <= connection:
        await peer.came.wait()
    while (hello := peer.heard[connection].next(HELLO)) is None:
        await peer.came.wait()
    assert hello == GREETING


async def frames_of(peer: Peer, connection: int, count: int) -> list[PeerFrame]:
    """So many frames that follow."""
    frames = peer.heard[connection].all(PEER_FRAME)
    while len(frames) < count:
        await peer.came.wait()
        frames += peer.heard[connection].all(PEER_FRAME)
    return frames


async def test_a_link_greets_and_sends_and_begins_anew_when_it_breaks() -> None:
    frames = [PeerFrame("n1", 1, k, ()) for k in range(3)]
    async with linked() as (link, peer):
        link.send(encode_peer_frame(PeerFrame("n1", 1, 99, ())))
        assert not link.is_connected
        await greeted(peer, 0)
        for frame in frames:
            link.send(encode_peer_frame(frame))
        assert await frames_of(peer, 0, 3) == frames, "what was sent before there was a connection is lost"
        await peer.streams[0].aclose()
        await greeted(peer, 1)
        link.send(encode_peer_frame(frames[0]))
        assert await frames_of(peer, 1, 1) == frames[:1]


async def test_a_peer_that_speaks_is_none(caplog: pytest.LogCaptureFixture) -> None:
    async with linked() as (_, peer):
        await greeted(peer, 0)
        await peer.streams[0].send_all(b"x")
        await greeted(peer, 1)
    assert "it spoke" in caplog.text


async def test_a_peer_that_does_not_read_costs_bounded_memory() -> None:
    """Nothing waits for it, nothing is kept beyond the limit; frames it does get are whole."""
    stuck = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            async def deaf(stream: trio.SocketStream) -> None:
                await stuck.wait()

            listeners = await nursery.start(trio.serve_tcp, deaf, 0)
            poller = Poller(lambda: None)
            address = "127.0.0.1", listeners[0].socket.getsockname()[1]
            link = PeerLink("n2", address, encode(GREETING), tls=None, timeout_ms=60_000)
            nursery.start_soon(poller.run)
            nursery.start_soon(link.run, poller)
            for _ in range(500):
                if link.is_connected:
                    break
                await trio.sleep(0.01)
            chunk = bytes(1 << 20)
            for _ in range(2 * PENDING_BYTES_MAX >> 20):
                link.send(chunk)
            (connection,) = poller.connections.values()
            assert PENDING_BYTES_MAX - len(chunk) <= connection.waiting_bytes <= PENDING_BYTES_MAX
            nursery.cancel_scope.cancel()
        poller.close()


async def test_a_node_that_is_in_no_file_is_called_back_where_it_says(tmp_path: Path) -> None:
    """How a newcomer becomes reachable: it knows the members, they learn of it from its greeting."""
    own, newcomer = free_addresses(2)
    settings = Settings(node_id="n1", data_dir=tmp_path / "n1", members={"n1": own})
    host, _, port = newcomer.rpartition(":")
    peer = Peer()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: serve(settings, task_status=task_status))
            await nursery.start(partial(trio.serve_tcp, peer.take, int(port), host=host))
            async with await trio.open_tcp_stream(*settings.listen_address()) as stream:
                await stream.send_all(encode(Hello(VERSION, "raft", "n4", 1, newcomer)))
                while not peer.heard:
                    await peer.came.wait()
                hello = peer.heard[0].next(HELLO)
                while hello is None:
                    await peer.came.wait()
                    hello = peer.heard[0].next(HELLO)
            assert hello == Hello(VERSION, "raft", "n1", 1, own)
            async with open_client(settings.members) as client:
                await client.put("k", 1)
            nursery.cancel_scope.cancel()
