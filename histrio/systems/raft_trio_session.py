"""The sans-IO client session for raft_trio: a workload's operation becomes a command, a reply becomes an outcome.

One process, one node, no retries. A process that changes state first opens a session, so that a command duplicated on
its way is applied once (thesis §6.3). Which errors are definite, `workloads.errors` says; a lost answer to a read is a
definite failure too, because a read changes nothing.
"""

from __future__ import annotations

from typing import Any, assert_never

from raft_trio import kv
from raft_trio.messages import (
    ClientReply,
    Done,
    OpenSession,
    OutcomeUnknown,
    Query,
    Refused,
    SessionOpened,
    StatusReport,
    Submit,
)
from workloads.errors import outcome_of
from workloads.session import Completion, Operation, Outcome, SessionStep

__all__ = ["RaftTrioSession"]


class RaftTrioSession:
    """Implements `workloads.session.Session` for the register workload's read, write and cas."""

    def __init__(self, *, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._session = 0
        self._sequence = 0
        self._open: Operation | None = None
        self._operation_id = ""
        self._awaited = ""
        self._deadline_ns = 0
        self._submitted = False

    def invoke(self, now_ns: int, operation: Operation, operation_id: str) -> SessionStep:
        """Send the query, the command, or first the request for a session."""
        assert self._open is None, "one operation at a time"
        self._open, self._operation_id = operation, operation_id
        self._deadline_ns = now_ns + self._timeout_ns
        self._submitted = False
        if operation.f == "read":
            return self._send(Query(operation_id, kv.encode(kv.Get(_name(operation.key)))))
        if self._session == 0:
            return self._send(OpenSession(f"{operation_id}/session"))  # an id of its own, for the trace
        return self._submit(operation)

    def received(self, now_ns: int, payload: Any) -> SessionStep:
        """Match the reply to the open operation."""
        reply: ClientReply = payload
        operation = self._open
        if operation is None or reply.operation != self._awaited:
            return self._unchanged()  # an answer that came after its deadline
        match reply:
            case SessionOpened(session=session):
                self._session, self._sequence = session, 0
                return self._submit(operation)
            case Done():
                return self._done(operation, reply)
            case Refused(reason=reason):
                if reason == "session-expired":
                    self._session = 0
                return self._fail(reason.value)
            case OutcomeUnknown():
                return self._fail("outcome-unknown")
            case StatusReport():
                raise AssertionError("a session asks for no status")
            case _:
                assert_never(reply)

    def disconnected(self, now_ns: int, *, delivered: bool) -> SessionStep:
        """A refused connection is definite; a broken one leaves open what may have been delivered."""
        if self._open is None:
            return self._unchanged()
        return self._fail("connection-lost" if delivered else "connection-refused")

    def wake(self, now_ns: int) -> SessionStep:
        """The deadline: silence is not failure, unless nothing was asked that changes state."""
        if self._open is None or now_ns < self._deadline_ns:
            return self._unchanged()
        return self._fail("timeout")

    def _submit(self, operation: Operation) -> SessionStep:
        self._sequence += 1
        self._submitted = True
        command = kv.encode(_command(operation))
        return self._send(Submit(self._operation_id, self._session, self._sequence, command))

    def _send(self, payload: OpenSession | Submit | Query) -> SessionStep:
        self._awaited = payload.operation
        return SessionStep(sends=(payload,), deadline_ns=self._deadline_ns)

    def _done(self, operation: Operation, reply: Done) -> SessionStep:
        position = (reply.term, reply.index)
        match kv.decode_result(reply.result):
            case kv.Found(value=value):
                return self._ok(value, position)
            case kv.Missing():
                return self._ok(None, position)
            case kv.Stored():
                return self._ok(operation.value, position)
            case kv.Mismatch():
                return self._fail("cas-mismatch", position)
            case _:
                return self._fail("bad-request")

    def _unchanged(self) -> SessionStep:
        return SessionStep(deadline_ns=None if self._open is None else self._deadline_ns)

    def _ok(self, value: Any, position: tuple[int, int]) -> SessionStep:
        self._open = None
        return SessionStep(completion=Completion(outcome=Outcome.OK, value=value, position=position))

    def _fail(self, error: str, position: tuple[int, int] | None = None) -> SessionStep:
        """By the one table of definite errors, unless what is open cannot have changed anything."""
        harmless = not self._submitted
        outcome = Outcome.FAIL if harmless else outcome_of(error)
        self._open = None
        return SessionStep(completion=Completion(outcome=outcome, error=error, position=position))


def _command(operation: Operation) -> kv.Command:
    name = _name(operation.key)
    match operation.f:
        case "write":
            return kv.Put(name, operation.value)
        case "cas":
            expected, value = operation.value
            return kv.Cas(name, expected, value)
        case _:
            raise AssertionError(f"raft_trio has no command for the operation {operation.f!r}")


def _name(key: object) -> str:
    return str(key)
