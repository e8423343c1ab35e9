"""A client of etcd over its HTTP/JSON gateway: the words of the workload `register`, and what each error means.

Bound to one node, one connection, no retries: a retry would hide what etcd did. Here belong the requests, the reading
of answers, the question for a node's role, and the table of what etcd refuses before it proposes anything; how a node
is started is `etcd`'s affair.
"""

from __future__ import annotations

import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import trio

from histrio.systems.etcd import CLIENT_PORT
from histrio.systems.system import NodeStatus
from workloads.errors import outcome_of
from workloads.session import Completion, Operation, Outcome

__all__ = ["REFUSED", "EtcdClient", "ask_status"]

REFUSED: Mapping[str, str] = {
    "etcdserver: key is not provided": "bad-request",
    "etcdserver: request is too large": "bad-request",
    "etcdserver: too many requests": "overloaded",
    "raft proposal dropped": "no-leader",
}
"""What etcd says -> the definite error it is (`workloads.errors`). All of it is said before anything is proposed: the
first by the check of the request, the next two where it is handed to Raft (etcd 3.4, `processInternalRaftRequestOnce`),
the last by Raft itself, for want of a leader or while one hands over. Everything else that etcd says is indefinite;
"mvcc: database space exceeded", too, which 3.4 also says of a put that it has carried out."""

_INDEFINITE: Mapping[str, str] = {
    "etcdserver: request timed out": "timeout",
    "etcdserver: leader changed": "leadership-lost",
}
"""Beginning of what etcd says -> a name for it."""

_REFUSED_PAUSE_S = 0.02
"""A client that is refused at once asks again no sooner than a peer would: a dead node is no reason to spin."""
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Never used: without it httpx would load the machine's certificates for every client, which takes 20 ms."""


class _Pair(msgspec.Struct, frozen=True):
    value: str = ""


class _Answer(msgspec.Struct, frozen=True):
    """Of a range, a put or a transaction. The gateway leaves out what is empty, zero or false."""

    kvs: tuple[_Pair, ...] = ()
    succeeded: bool = False


class _Problem(msgspec.Struct, frozen=True):
    error: str = ""


class _Header(msgspec.Struct, frozen=True):
    member_id: str


class _Status(msgspec.Struct, frozen=True):
    """64-bit numbers come as text."""

    header: _Header
    leader: str = "0"
    term: str = msgspec.field(default="0", name="raftTerm")


class EtcdClient:
    """Implements `workloads.session.Client`: one process, one node.

    transport: another way to reach the node than TCP, for tests.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        timeout_s: float,
        serializable_reads: bool,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._addresses, self._timeout_s, self._serializable = addresses, timeout_s, serializable_reads
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=_TLS,
            trust_env=False,  # a proxy would be another party
            timeout=None,  # one deadline for the operation, not one for each of its parts
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None),
        )
        self._url = ""

    async def open(self, node: str) -> None:
        """Connects at the first operation, and again whenever the connection was lost."""
        self._url = f"http://{self._addresses[node]}:{CLIENT_PORT}/v3/kv/"

    async def invoke(self, operation: Operation, operation_id: str) -> Completion:
        """One request, one answer, at the latest at the deadline. etcd has no place for `operation_id`."""
        path, request = _request(operation, serializable_reads=self._serializable)
        with trio.move_on_after(self._timeout_s):
            return await self._ask(operation, path, request)
        return _failed(operation, "timeout")

    async def close(self) -> None:
        """Hangs up."""
        await self._http.aclose()

    async def _ask(self, operation: Operation, path: str, request: Any) -> Completion:
        try:
            response = await self._http.post(self._url + path, content=msgspec.json.encode(request))
        except httpx.ConnectError:
            await trio.sleep(_REFUSED_PAUSE_S)  # no connection came about, so no request left
            return _failed(operation, "connection-refused")
        except httpx.HTTPError:
            return _failed(operation, "connection-lost")
        if response.status_code != httpx.codes.OK:
            return _failed(operation, _error_of(response.content))
        try:
            return _completion(operation, msgspec.json.decode(response.content, type=_Answer))
        except (msgspec.DecodeError, ValueError):
            return _failed(operation, "outcome-unknown: the answer cannot be read")


def _request(operation: Operation, *, serializable_reads: bool) -> tuple[str, dict[str, Any]]:
    """(path below /v3/kv/, body) of an operation of the workload `register`."""
    key = _encoded(str(operation.key).encode())
    match operation.f:
        case "read":
            return "range", {"key": key, "serializable": serializable_reads}
        case "write":
            return "put", {"key": key, "value": _encoded(msgspec.json.encode(operation.value))}
        case "cas":
            expected, value = operation.value
            put = {"key": key, "value": _encoded(msgspec.json.encode(value))}
            return "txn", {"compare": [_comparison(key, expected)], "success": [{"request_put": put}]}
        case _:
            raise AssertionError(f"the workload register has no operation {operation.f!r}")


def _comparison(key: str, expected: Any) -> dict[str, Any]:
    """Equal to a value; to nothing: the key has never been written, which etcd calls version 0."""
    if expected is None:
        return {"target": "VERSION", "key": key, "version": 0}
    return {"target": "VALUE", "key": key, "value": _encoded(msgspec.json.encode(expected))}


def _completion(operation: Operation, answer: _Answer) -> Completion:
    """Raises ValueError, DecodeError for a value that no client of ours has written."""
    match operation.f:
        case "read":
            value = msgspec.json.decode(b64decode(answer.kvs[0].value, validate=True)) if answer.kvs else None
            return Completion(outcome=Outcome.OK, value=value)
        case "cas" if not answer.succeeded:
            return _failed(operation, "cas-mismatch")
        case _:
            return Completion(outcome=Outcome.OK, value=operation.value)


def _error_of(content: bytes) -> str:
    """The name of what etcd says."""
    try:
        said = msgspec.json.decode(content, type=_Problem).error
    except msgspec.DecodeError:
        said = "not the answer of etcd"
    if said in REFUSED:
        return f"{REFUSED[said]}: {said}"
    known = [name for beginning, name in _INDEFINITE.items() if said.startswith(beginning)]
    return f"{known[0] if known else 'outcome-unknown'}: {said}"


def _failed(operation: Operation, error: str) -> Completion:
    """By the one table of definite errors; a read that failed has changed nothing, whatever became of it."""
    outcome = Outcome.FAIL if operation.f == "read" else outcome_of(error)
    return Completion(outcome=outcome, error=error)


def _encoded(data: bytes) -> str:
    return b64encode(data).decode()


async def ask_status(address: str, transport: httpx.AsyncBaseTransport | None = None) -> NodeStatus | None:
    """Whether the node at `address` leads, as it sees it itself; None: no answer. Takes as long as the node does."""
    async with httpx.AsyncClient(transport=transport, verify=_TLS, trust_env=False, timeout=None) as http:
        try:
            response = await http.post(f"http://{address}:{CLIENT_PORT}/v3/maintenance/status", content=b"{}")
            status = msgspec.json.decode(response.content, type=_Status)
        except (httpx.HTTPError, msgspec.DecodeError):
            return None
    if status.leader == "0":
        return NodeStatus("leaderless", int(status.term))
    return NodeStatus("leader" if status.leader == status.header.member_id else "follower", int(status.term))
