"""One node in the world: its sockets, its disk, its clock, in one nursery.

Here belongs carrying effects out, in the order the node asks for: trace first, then everything else. All decisions are
`raft_trio.node.Node`'s. Inputs go to the node directly (trio is single-threaded); after each round of ready sockets one
*turn* flushes once for all that has gathered, sends, writes, and, if the disk was quick, goes on with what that allows.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Sequence
from random import Random

import trio

from raft_trio.build import BUILD, Build
from raft_trio.errors import ConfigError, IoError, RaftError
from raft_trio.messages import TransferLeadership
from raft_trio.node import Node, NodeEffects
from raft_trio.shell.callers import Callers
from raft_trio.shell.clock import now_ns, trio_time
from raft_trio.shell.disk import DataDirectory, Disk
from raft_trio.shell.links import PeerLink
from raft_trio.shell.metrics import Numbers, serve_metrics
from raft_trio.shell.settings import Address, Settings, parse_address
from raft_trio.shell.sockets import Poller
from raft_trio.shell.tls import client_context, server_context
from raft_trio.shell.trace import TraceFile
from raft_trio.storage.incarnation import next_incarnation
from raft_trio.storage.recovery import SEGMENT_SUFFIX
from raft_trio.trace import Became, TraceEvent
from raft_trio.types import NodeId, Role
from raft_trio.wire import VERSION, Hello, encode, encode_peer_frame

__all__ = ["serve"]

log = logging.getLogger(__name__)

_OUT_OF_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_CHECK_S_MAX = 1.0
_SELF = "self"
"""Stands for a connection where the node asks itself for something; nobody is told the answer."""
_NEWCOMERS_MAX = 16
"""Nodes that are in no file; each costs a task and a connection."""
_DISK_FULL_S = 10.0
_STOP_POLL_MS = 10


async def serve(
    settings: Settings,
    *,
    build: Build = BUILD,
    stop: trio.Event | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Runs a node until cancelled, or until `stop` is set and requests under way were answered.

    `task_status` starts when the node accepts connections. Raises ConfigError, IoError or Corrupt when the node cannot
    start, IoError or Internal when it ends itself.
    """
    config = settings.raft_config()
    contexts = None if settings.tls is None else (server_context(settings.tls), client_context(settings.tls))
    directory = _opened(settings)
    try:
        incarnation = next_incarnation(directory)
        node = Node(settings.node_id, incarnation, config, build, Random())
        trace = None if settings.trace is None else TraceFile(settings.trace, settings.node_id, incarnation)
        try:
            host = _Host(settings, node, incarnation, directory, trace, contexts)
            await host.run(trio.Event() if stop is None else stop, task_status)
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
        self,
        settings: Settings,
        node: Node,
        incarnation: int,
        directory: DataDirectory,
        trace: TraceFile | None,
        contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None,
    ) -> None:
        self._settings = settings
        self._node = node
        self._directory = directory
        self._segment_bytes = settings.raft_config().wal_segment_bytes
        self._trace = trace
        self._server_tls = None if contexts is None else contexts[0]
        self._disk = Disk(directory, self._io_done)
        self._poller = Poller(self._turn)
        own = settings.members[settings.node_id]
        self._hello = encode(Hello(VERSION, settings.cluster, settings.node_id, incarnation, own))
        self._client_tls = None if contexts is None else contexts[1]
        self._links = {peer: self._link(peer, address) for peer, address in settings.peers().items()}
        self._new_links: list[PeerLink] = []
        self._introduced = trio.Event()
        self._callers = Callers(settings, self._introduce, node)
        self._elections = self._terms_led = self._held_up = 0
        self._late_ns_max = settings.raft_config().election_timeout_min_ns // 2
        self._spare_due = trio.Event()
        self._wake_at_ns = 0
        self._armed_ns = 0
        self._alarm = trio.CancelScope()
        self._scope = trio.CancelScope()
        self._failure: RaftError | None = None

    async def run(self, stop: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        """Starts the node and everything around it; raises why the node ended itself."""
        self._node.start(now_ns(), self._directory)
        self._wake_at_ns = now_ns()
        self._turn()
        self._raise_failure()
        self._directory.fill_last(SEGMENT_SUFFIX, self._segment_bytes)
        listeners = await _listeners(self._settings.listen_address())
        metrics = self._settings.metrics
        scraped = [] if metrics is None else await _listeners(parse_address(metrics))
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._disk.run)
                nursery.start_soon(self._prepare_segments)
                nursery.start_soon(self._wake_in_time)
                nursery.start_soon(self._poller.run)
                nursery.start_soon(self._check_callers)
                for link in self._links.values():
                    nursery.start_soon(link.run, self._poller)
                nursery.start_soon(self._call_back, nursery)
                accepting = trio.CancelScope()
                nursery.start_soon(self._accept_all, listeners, accepting)
                nursery.start_soon(self._stop_after, stop, accepting)
                if scraped:
                    nursery.start_soon(serve_metrics, scraped, self._numbers)
                task_status.started()
        finally:
            self._poller.close()
        self._raise_failure()

    # ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> None:
        """One hand-over for all inputs that have gathered; another one for each write that was done at once."""
        node = self._node
        now = now_ns()
        if now >= self._wake_at_ns:
            self._note_lateness(now - self._wake_at_ns)
            node.wake(now)
        while self._failure is None:
            done = self._carry_out(node.flush(now))
            if not done:
                break
            now = now_ns()
            for token in done:
                node.io_done(now, token, None)

    def _carry_out(self, effects: NodeEffects) -> Sequence[int]:
        """The tokens of writes that are durable already."""
        if effects.trace:
            self._count(effects.trace)
        failed = effects.failed or self._write_trace(effects)
        if failed:
            self._failure = IoError(failed, why="a node that is not sure of its state must not go on")
            self._scope.cancel()
            return ()
        for peer, frame in effects.frames:
            if peer in self._links:  # else nobody knows its address yet
                self._links[peer].send(encode_peer_frame(frame))
        if effects.replies:
            self._callers.reply(effects.replies)
        # Writing comes last, so that peers write while we do.
        done = [batch.token for batch in effects.batches if self._disk.submit(batch)] if effects.batches else ()
        if effects.batches and self._directory.end > self._segment_bytes // 2 and not self._directory.has_spare:
            self._spare_due.set()
        assert effects.wake_at_ns is not None
        self._wake_at_ns = effects.wake_at_ns
        if self._wake_at_ns < self._armed_ns:
            self._arm()
        return done

    def _write_trace(self, effects: NodeEffects) -> str:
        """Empty, or why it failed: what nobody can follow must not happen."""
        if self._trace is not None and effects.trace:
            try:
                self._trace.write(now_ns(), effects.trace)
            except OSError as error:
                return f"the trace cannot be written: {error}"
        return ""

    def _count(self, events: tuple[TraceEvent, ...]) -> None:
        for event in events:
            if isinstance(event, Became):
                self._elections += event.role is Role.CANDIDATE
                self._terms_led += event.role is Role.LEADER

    def _numbers(self) -> Numbers:
        callers = self._callers
        return Numbers(
            status=self._node.status(),
            connected={peer: link.is_connected for peer, link in self._links.items()},
            syncs=self._disk.durations,
            syncs_in_thread=self._disk.in_thread,
            requests={kind.__name__: count for kind, count in callers.requests.items()},
            elections=self._elections,
            terms_led=self._terms_led,
            read_rounds=self._node.read_rounds,
            held_up=self._held_up,
            clients=callers.clients,
            connections_refused=callers.refused,
        )

    def _io_done(self, tokens: Sequence[int], error: OSError | None) -> None:
        now = now_ns()
        for token in tokens:
            self._node.io_done(now, token, error)
        self._turn()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _wake_in_time(self) -> None:
        """Deadlines mostly move on before they come: an alarm that is early is set again, and only then."""
        while True:
            self._alarm = trio.CancelScope()
            self._arm()
            with self._alarm:
                await trio.sleep_forever()
            if now_ns() >= self._wake_at_ns:
                self._poller.serve()  # what came in while we were held up may be the heartbeat that is missed
                self._turn()

    def _note_lateness(self, late_ns: int) -> None:
        """A process that is stopped, starved or held up by its disk looks dead to the others: it believes no lease."""
        if late_ns > self._late_ns_max:
            self._node.paused()
            self._held_up += 1
            log.warning("%s: was held up for %d ms", self._settings.node_id, late_ns // 1_000_000)

    def _arm(self) -> None:
        self._armed_ns = self._wake_at_ns
        self._alarm.deadline = trio_time(self._wake_at_ns)

    async def _prepare_segments(self) -> None:
        while True:
            await self._spare_due.wait()
            await trio.to_thread.run_sync(self._directory.prepare_spare, SEGMENT_SUFFIX, self._segment_bytes)
            self._spare_due = trio.Event()
            if not self._directory.has_spare:
                await trio.sleep(_DISK_FULL_S)

    async def _check_callers(self) -> None:
        shortest_s = min(self._settings.handshake_timeout_ms, self._settings.frame_timeout_ms) / 1000
        while True:
            await trio.sleep(min(_CHECK_S_MAX, shortest_s / 4))
            self._callers.check()

    # ── who calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _link(self, peer: NodeId, address: Address) -> PeerLink:
        return PeerLink(peer, address, self._hello, tls=self._client_tls, timeout_ms=self._settings.peer_timeout_ms)

    def _introduce(self, node: NodeId, address: str) -> str:
        """Learns where a node can be called back that is in no file of ours: one that joins.

        What such a node says is ignored by the core until it is a member.
        """
        if node in self._links:
            return ""
        if node == self._settings.node_id or not address:
            return f"{node!r} is no other member"
        if len(self._links) >= len(self._settings.members) + _NEWCOMERS_MAX:
            return f"{node!r} is one newcomer too many"
        try:
            place = parse_address(address)
        except ConfigError as error:
            return str(error)
        self._links[node] = link = self._link(node, place)
        self._new_links.append(link)
        self._introduced.set()
        log.info("%s: %s at %s may become a member", self._settings.node_id, node, address)
        return ""

    async def _call_back(self, nursery: trio.Nursery) -> None:
        while True:
            await self._introduced.wait()
            self._introduced = trio.Event()
            while self._new_links:
                nursery.start_soon(self._new_links.pop().run, self._poller)

    async def _accept_all(self, listeners: list[trio.SocketListener], accepting: trio.CancelScope) -> None:
        with accepting:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept, listener)

    async def _accept(self, listener: trio.SocketListener) -> None:
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    if error.errno not in _OUT_OF_ROOM:
                        raise
                    self._callers.note(f"cannot take a connection: {error}")
                    await trio.sleep(0.1)
                    continue
                self._take(stream)

    def _take(self, stream: trio.SocketStream) -> None:
        sock = socket.socket(fileno=stream.socket.detach())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            if self._server_tls is not None:
                sock = self._server_tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._callers.take(self._poller, sock)
        except OSError:  # it is gone already
            sock.close()

    async def _stop_after(self, stop: trio.Event, accepting: trio.CancelScope) -> None:
        """Nothing new is taken; what was taken is answered, as far as that is possible in time.

        A leader hands over first, so that the others need not find out by waiting.
        """
        await stop.wait()
        accepting.cancel()
        self._callers.rest()
        if self._node.role is Role.LEADER and self._node.has_followers:
            self._node.request(now_ns(), _SELF, TransferLeadership(_SELF))
            self._turn()
        for _ in range(0, self._settings.stop_timeout_ms, _STOP_POLL_MS):
            leads = self._node.role is Role.LEADER and self._node.has_followers
            if not leads and not self._callers.requests_under_way and self._disk.is_idle:
                break
            await trio.sleep(_STOP_POLL_MS / 1000)
        self._scope.cancel()


async def _listeners(address: Address) -> list[trio.SocketListener]:
    host, port = address
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}", why=str(error), fix="choose a free address") from error
