"""A client for people and programs: one session, one operation at a time, each taking effect at most once.

It finds the leader, follows hints, and tries again elsewhere under the same session and sequence, which the cluster
carries out once (thesis §6.3). What it cannot know it says: `RequestTimeout` means that the operation may have taken
effect or still may; every other error means that it certainly did not and will not.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import msgspec
import trio

from raft_trio import kv
from raft_trio.errors import (
    ChangeRefused,
    Internal,
    NoLeader,
    ProposalDropped,
    RaftError,
    RequestTimeout,
    SessionExpired,
)
from raft_trio.messages import (
    AdminRequest,
    ChangeMembership,
    ClientReply,
    ClientRequest,
    Done,
    OpenSession,
    OutcomeUnknown,
    Query,
    Refusal,
    Refused,
    SessionOpened,
    Status,
    StatusReport,
    Submit,
    TransferLeadership,
)
from raft_trio.shell.settings import parse_address
from raft_trio.shell.tls import TlsFiles, certificate_names, client_context
from raft_trio.types import NodeId
from raft_trio.wire import CLIENT_REPLY, VERSION, Decoder, FrameError, Hello, encode

__all__ = ["RaftClient", "ask_node", "ask_status", "open_client"]

_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
_RECEIVE_BYTES = 1 << 16
_RETRY_S = 0.02
_ATTEMPT_S = 1.0
"""A node that does not answer for this long is given up for another one. Elections take 0.15 to 0.6 s."""


class _ConnectionLost(Exception):
    """The node cannot be reached, or hung up, or spoke nonsense."""


@asynccontextmanager
async def open_client(
    members: Mapping[NodeId, str], *, cluster: str = "raft", timeout_s: float = 5.0, tls: TlsFiles | None = None
) -> AsyncIterator[RaftClient]:
    """A client with a session of its own. `timeout_s` bounds each operation, this one included. Raises RaftError.

    With `tls` it proves to be of the cluster, and talks only to nodes that prove to be the ones named.
    """
    client = RaftClient(members, cluster=cluster, timeout_s=timeout_s, tls=tls)
    try:
        await client.open_session()
        yield client
    finally:
        await client.aclose()


async def ask_status(
    node: NodeId, address: str, *, cluster: str = "raft", timeout_s: float = 5.0, tls: TlsFiles | None = None
) -> StatusReport:
    """What that node, and no other, knows of itself. Raises RequestTimeout: it did not answer, or not to us."""
    reply = await ask_node(node, address, Status("status"), cluster=cluster, timeout_s=timeout_s, tls=tls)
    assert isinstance(reply, StatusReport)
    return reply


async def ask_node(
    node: NodeId,
    address: str,
    request: AdminRequest,
    *,
    cluster: str = "raft",
    timeout_s: float = 5.0,
    tls: TlsFiles | None = None,
) -> ClientReply:
    """That node's answer, asked once. Raises RequestTimeout: it did not answer, or not to us."""
    client = RaftClient({node: address}, cluster=cluster, timeout_s=timeout_s, tls=tls)
    try:
        with trio.move_on_after(timeout_s):
            return await client.ask(request)
    except (_ConnectionLost, trio.BrokenResourceError, FrameError):
        pass
    finally:
        await client.aclose()
    raise RequestTimeout(f"{node} at {address} did not answer", why="it is down, unreachable, or of another cluster")


class RaftClient:
    """Made by `open_client`. Not for several tasks at once."""

    def __init__(
        self,
        members: Mapping[NodeId, str],
        *,
        cluster: str,
        timeout_s: float,
        attempt_s: float = _ATTEMPT_S,
        tls: TlsFiles | None = None,
    ) -> None:
        self._addresses = {node: parse_address(text) for node, text in sorted(members.items())}
        self._node = next(iter(self._addresses))
        self._hello = encode(Hello(VERSION, cluster))
        self._timeout_s, self._attempt_s = timeout_s, attempt_s
        self._session = 0
        self._numbers = count(1)
        self._tls = None if tls is None else client_context(tls)
        self._stream: _Stream | None = None
        self._decoder = Decoder()

    # ── operations ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_session(self) -> None:
        """Begins a session, also after `SessionExpired`. Raises NoLeader, RequestTimeout."""
        reply = await self._call(OpenSession("open"))
        assert isinstance(reply, SessionOpened)
        self._session = reply.session
        self._numbers = count(1)

    async def get(self, key: str) -> kv.Found | kv.Missing:
        """The newest value, linearizably. Raises NoLeader, RequestTimeout (of a read: simply not answered)."""
        result = await self.query(kv.Get(key))
        if isinstance(result, kv.Found | kv.Missing):
            return result
        raise _unexpected(result)

    async def put(self, key: str, value: Any) -> None:
        """Writes. Raises NoLeader, ProposalDropped, SessionExpired, RequestTimeout; so do all that follow."""
        result = await self.submit(kv.Put(key, value))
        if not isinstance(result, kv.Stored):
            raise _unexpected(result)

    async def cas(self, key: str, expected: Any, value: Any) -> kv.Stored | kv.Mismatch:
        """Writes if the present value is `expected`; an absent key counts as None."""
        result = await self.submit(kv.Cas(key, expected, value))
        if isinstance(result, kv.Stored | kv.Mismatch):
            return result
        raise _unexpected(result)

    async def append(self, key: str, value: Any) -> kv.Appended | kv.WrongType:
        """Adds to the end of a list, which an absent key starts."""
        result = await self.submit(kv.Append(key, value))
        if isinstance(result, kv.Appended | kv.WrongType):
            return result
        raise _unexpected(result)

    async def delete(self, key: str) -> kv.Deleted:
        """Removes the key."""
        result = await self.submit(kv.Delete(key))
        if isinstance(result, kv.Deleted):
            return result
        raise _unexpected(result)

    async def submit(self, command: kv.Command) -> kv.Result:
        """Carries out any command, at most once; those above are the commonest. Raises what `put` does."""
        number = next(self._numbers)
        return await self._result(Submit(f"s{self._session}.{number}", self._session, number, kv.encode(command)))

    async def query(self, query: kv.Query) -> kv.Result:
        """Answers any query, linearizably. Raises what `get` does."""
        return await self._result(Query(f"s{self._session}.get{next(self._numbers)}", kv.encode(query)))

    async def administer(self, request: ChangeMembership | TransferLeadership) -> Done:
        """Has the leader do it, waiting where it cannot do so yet. Raises ChangeRefused, NoLeader, RequestTimeout."""
        reply = await self._call(request)
        assert isinstance(reply, Done)
        return reply

    async def ask(self, request: AdminRequest) -> ClientReply:
        """The answer of the node it is connected to at this moment; for `ask_node`."""
        stream = await self._connected()
        await stream.send_all(encode(request))
        return await self._answer_to(stream, request.operation)

    async def aclose(self) -> None:
        """Hangs up. The session stays in the cluster until newer ones displace it."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await trio.aclose_forcefully(stream)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _result(self, request: Submit | Query) -> kv.Result:
        reply = await self._call(request)
        assert isinstance(reply, Done)
        try:
            return kv.decode_result(reply.result)
        except msgspec.MsgspecError as error:
            raise Internal(f"the result of {request.operation} cannot be read", why=str(error)) from error

    async def _call(self, request: ClientRequest) -> SessionOpened | Done:
        """Tries until the time is up. Raises what `_Attempts.error` says."""
        attempts = _Attempts(request.operation, changes=isinstance(request, AdminRequest))
        with trio.move_on_after(self._timeout_s):
            while True:
                reply = await self._attempt(request, attempts)
                match reply:
                    case SessionOpened() | Done():
                        return reply
                    case Refused(reason=Refusal.SESSION_EXPIRED | Refusal.BAD_REQUEST):
                        break
                    case Refused(leader=leader):
                        await self._turn_to(leader)
                    case OutcomeUnknown() | StatusReport() | None:
                        await self._turn_to(None)
                await trio.sleep(_RETRY_S)
        if attempts.unanswered:
            await self.aclose()  # a late answer to this call must not be taken for one to the next
        raise attempts.error()

    async def _attempt(self, request: ClientRequest, attempts: _Attempts) -> ClientReply | None:
        """None: no answer came."""
        with trio.move_on_after(self._attempt_s):
            try:
                stream = await self._connected()
                attempts.sent()
                await stream.send_all(encode(request))
                reply = await self._answer_to(stream, request.operation)
            except (_ConnectionLost, trio.BrokenResourceError, FrameError):
                await self.aclose()
                return None
            attempts.answered(reply)
            return reply
        await self.aclose()
        return None

    async def _connected(self) -> _Stream:
        if self._stream is None:
            try:
                stream = await trio.open_tcp_stream(*self._addresses[self._node])
            except OSError as error:
                raise _ConnectionLost from error
            self._stream, self._decoder = stream, Decoder()
            if self._tls is not None:
                self._stream = await self._secured(stream, self._tls)
            await self._stream.send_all(self._hello)
        return self._stream

    async def _secured(self, stream: trio.SocketStream, context: ssl.SSLContext) -> _Stream:
        secured = trio.SSLStream(stream, context)
        await secured.do_handshake()
        if self._node not in certificate_names(secured.getpeercert()):
            raise _ConnectionLost
        return secured

    async def _answer_to(self, stream: _Stream, operation: str) -> ClientReply:
        while True:
            while (reply := self._decoder.next(CLIENT_REPLY)) is not None:
                if reply.operation == operation:
                    return reply
            data = await stream.receive_some(_RECEIVE_BYTES)
            if not data:
                raise _ConnectionLost
            self._decoder.feed(bytes(data))

    async def _turn_to(self, leader: NodeId | None) -> None:
        """To the leader named, else to the next member."""
        if leader == self._node:
            return
        await self.aclose()
        nodes = list(self._addresses)
        following = nodes[(nodes.index(self._node) + 1) % len(nodes)]
        self._node = leader if leader in self._addresses else following


class _Attempts:
    """What is certain about an operation after some attempts at it."""

    def __init__(self, operation: str, *, changes: bool) -> None:
        """`changes`: it is about the cluster, not about its contents."""
        self._operation = operation
        self._changes = changes
        self._refused: Refused | None = None
        self._unknown = False
        self.unanswered = False
        """The last attempt was sent and has no answer yet."""

    def sent(self) -> None:
        self._unknown = self._unknown or self.unanswered
        self.unanswered = True

    def answered(self, reply: ClientReply) -> None:
        self.unanswered = False
        if isinstance(reply, OutcomeUnknown):
            self._unknown = True
        elif isinstance(reply, Refused):
            self._refused = reply

    def error(self) -> RaftError:
        """What to raise when no attempt succeeded."""
        operation = self._operation
        if self._unknown or self.unanswered:
            return RequestTimeout(
                f"nobody said what became of {operation}", why="it may have taken effect, or still may"
            )
        reason = self._refused.reason if self._refused is not None else Refusal.NO_LEADER
        if reason is Refusal.BAD_REQUEST and self._changes:
            return ChangeRefused(
                f"{operation} is impossible", why="see `status` for who is what", fix="ask for another"
            )
        return _DEFINITE[reason](f"{operation} was refused: {reason.value}")


_DEFINITE: dict[Refusal, Callable[[str], RaftError]] = {
    Refusal.NO_LEADER: NoLeader,
    Refusal.NOT_LEADER: NoLeader,
    Refusal.OVERLOADED: ProposalDropped,
    Refusal.SESSION_EXPIRED: SessionExpired,
    Refusal.BAD_REQUEST: Internal,
    Refusal.TRANSFER_IN_PROGRESS: ChangeRefused,
    Refusal.CHANGE_IN_PROGRESS: ChangeRefused,
    Refusal.NOT_READY: ChangeRefused,
    Refusal.NOT_CAUGHT_UP: ChangeRefused,
}


def _unexpected(result: kv.Result) -> Internal:
    return Internal(f"the cluster answered {result!r}", why="this command has no such result")
