"""One node in the world: its sockets, its disk, its clock, in one nursery.

Here belongs carrying effects out, in the order the node asks for: trace first, then everything else. All decisions are
`raft_trio.node.Node`'s. Tasks hand their inputs to the node directly (trio is single-threaded) and kick the pump, which
flushes once for all inputs that have gathered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random

import trio

from raft_trio.build import BUILD, Build
from raft_trio.errors import ConfigError, IoError, RaftError
from raft_trio.node import Node, NodeEffects
from raft_trio.shell.clock import now_ns, trio_time
from raft_trio.shell.disk import DataDirectory, DiskTask
from raft_trio.shell.links import Outgoing, PeerLink
from raft_trio.shell.settings import Settings
from raft_trio.shell.trace import TraceFile
from raft_trio.storage.incarnation import next_incarnation
from raft_trio.types import NodeId
from raft_trio.wire import (
    CLIENT_REQUEST,
    HELLO,
    PEER_FRAME,
    VERSION,
    Decoder,
    FrameError,
    Hello,
    encode,
    encode_peer_frame,
)

__all__ = ["serve"]

log = logging.getLogger(__name__)

_RECEIVE_BYTES = 1 << 16


async def serve(
    settings: Settings, *, build: Build = BUILD, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Runs a node until cancelled. `task_status` starts when the node accepts connections.

    Raises ConfigError, IoError or Corrupt when the node cannot start, IoError or Internal when it ends itself.
    """
    config = settings.raft_config()
    directory = _opened(settings)
    try:
        incarnation = next_incarnation(directory)
        node = Node(settings.node_id, incarnation, config, build, Random())
        trace = None if settings.trace is None else TraceFile(settings.trace, settings.node_id, incarnation)
        try:
            host = _Host(settings, node, incarnation, directory, trace)
            await host.run(task_status)
        finally:
            if trace is not None:
                trace.close()
    finally:
        directory.close()


def _opened(settings: Settings) -> DataDirectory:
    try:
        return DataDirectory(settings.data_dir)
    except OSError as error:
        raise IoError(
            f"cannot use data_dir {settings.data_dir}", why=str(error), fix="name a directory this user may write"
        ) from error


class _Host:
    def __init__(
        self, settings: Settings, node: Node, incarnation: int, directory: DataDirectory, trace: TraceFile | None
    ) -> None:
        self._settings = settings
        self._node = node
        self._directory = directory
        self._trace = trace
        self._disk = DiskTask(directory, self._io_done)
        hello = encode(Hello(VERSION, settings.cluster, settings.node_id, incarnation))
        self._links = {peer: PeerLink(address, hello) for peer, address in settings.peers().items()}
        self._clients: dict[str, tuple[Outgoing, Callable[[], None]]] = {}
        """By connection: what waits for it, and how to close it."""
        self._connections = 0
        self._kick = trio.Event()
        self._wake_at_ns = 0
        self._failure: RaftError | None = None

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Starts the node and everything around it; raises why the node ended itself."""
        self._node.start(now_ns(), self._directory)
        self._carry_out(self._node.flush(now_ns()))
        self._raise_failure()
        listeners = await self._listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._disk.run)
            for link in self._links.values():
                nursery.start_soon(link.run)
            nursery.start_soon(trio.serve_listeners, self._accepted, listeners)
            nursery.start_soon(self._pump, nursery.cancel_scope)
            task_status.started()
        self._raise_failure()

    async def _listen(self) -> list[trio.SocketListener]:
        host, port = self._settings.listen_address()
        try:
            return await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            raise ConfigError(f"cannot listen at {host}:{port}", why=str(error), fix="choose a free address") from error

    # ── the pump ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pump(self, scope: trio.CancelScope) -> None:
        while self._failure is None:
            with trio.move_on_at(trio_time(self._wake_at_ns)):
                await self._kick.wait()
            self._kick = trio.Event()
            now = now_ns()
            if now >= self._wake_at_ns:
                self._node.wake(now)
            self._carry_out(self._node.flush(now))
        scope.cancel()

    def _carry_out(self, effects: NodeEffects) -> None:
        failed = effects.failed or self._write_trace(effects)
        if failed:
            self._failure = IoError(failed, why="a node that is not sure of its state must not go on")
            return
        for batch in effects.batches:
            self._disk.submit(batch)
        for peer, frame in effects.frames:
            self._links[peer].send(encode_peer_frame(frame))
        for connection, reply in effects.replies:
            self._reply(connection, encode(reply))
        assert effects.wake_at_ns is not None
        self._wake_at_ns = effects.wake_at_ns

    def _write_trace(self, effects: NodeEffects) -> str:
        """Empty, or why it failed: what nobody can follow must not happen."""
        if self._trace is not None and effects.trace:
            try:
                self._trace.write(now_ns(), effects.trace)
            except OSError as error:
                return f"the trace cannot be written: {error}"
        return ""

    def _reply(self, connection: str, data: bytes) -> None:
        if connection in self._clients:
            outgoing, close = self._clients[connection]
            if not outgoing.put(data):
                close()

    def _io_done(self, token: int, error: OSError | None) -> None:
        self._node.io_done(now_ns(), token, error)
        self._kick.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # ── who calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _accepted(self, stream: trio.SocketStream) -> None:
        """One connection from its first frame to its end; what goes wrong on it ends nothing else."""
        decoder = Decoder()
        async with stream:
            try:
                hello = await self._hello(stream, decoder)
                if hello is None:
                    return
                if hello.node is None:
                    await self._serve_client(stream, decoder)
                else:
                    await self._serve_peer(stream, decoder, hello.node)
            except FrameError as error:
                log.warning("%s: closed a connection: %s", self._settings.node_id, error)
            except trio.BrokenResourceError:
                pass

    async def _hello(self, stream: trio.SocketStream, decoder: Decoder) -> Hello | None:
        """None: the caller went away, or is not for us."""
        while (hello := decoder.next(HELLO)) is None:
            data = await stream.receive_some(_RECEIVE_BYTES)
            if not data:
                return None
            decoder.feed(data)
        problem = self._objection(hello)
        if problem:
            log.warning("%s: refused a connection: %s", self._settings.node_id, problem)
            return None
        return hello

    def _objection(self, hello: Hello) -> str:
        if hello.version != VERSION:
            return f"it speaks version {hello.version}, this node {VERSION}"
        if hello.cluster != self._settings.cluster:
            return f"it means cluster {hello.cluster!r}, this is {self._settings.cluster!r}"
        if hello.node is not None and hello.node not in self._links:
            return f"{hello.node!r} is no other member"
        return ""

    async def _serve_peer(self, stream: trio.SocketStream, decoder: Decoder, peer: NodeId) -> None:
        while True:
            for frame in decoder.all(PEER_FRAME):
                if frame.source == peer:
                    self._node.frame(now_ns(), frame)
                    self._kick.set()
            data = await stream.receive_some(_RECEIVE_BYTES)
            if not data:
                return
            decoder.feed(data)

    async def _serve_client(self, stream: trio.SocketStream, decoder: Decoder) -> None:
        self._connections += 1
        connection = f"c{self._connections}"
        outgoing = Outgoing()
        try:
            async with trio.open_nursery() as nursery:
                self._clients[connection] = (outgoing, nursery.cancel_scope.cancel)
                nursery.start_soon(self._send_replies, outgoing, stream, nursery.cancel_scope)
                await self._take_requests(stream, decoder, connection)
                nursery.cancel_scope.cancel()
        finally:
            del self._clients[connection]
            self._node.disconnected(now_ns(), connection)

    async def _send_replies(self, outgoing: Outgoing, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            await outgoing.send_to(stream)
        except trio.BrokenResourceError:
            scope.cancel()

    async def _take_requests(self, stream: trio.SocketStream, decoder: Decoder, connection: str) -> None:
        """Until the client hangs up. Errors are logged here: behind a nursery they would come as a group."""
        try:
            while True:
                for request in decoder.all(CLIENT_REQUEST):
                    self._node.request(now_ns(), connection, request)
                    self._kick.set()
                data = await stream.receive_some(_RECEIVE_BYTES)
                if not data:
                    return
                decoder.feed(data)
        except FrameError as error:
            log.warning("%s: closed client connection %s: %s", self._settings.node_id, connection, error)
        except trio.BrokenResourceError:
            pass
