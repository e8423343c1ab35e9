"""The sans-IO client session for raft_trio: a workload's operation becomes a command, a reply becomes an outcome.

One process, one node, no retries: the client that retries is `raft_trio_retrying`. A process that changes state first
opens a session, so that a command duplicated on its way is applied once (thesis §6.3). Which errors are definite,
`workloads.errors` says; a lost answer to a read is a definite failure too, because a read changes nothing.
"""

from __future__ import annotations

from typing import Any, assert_never

from histrio.systems.raft_trio_encoding import ENCODINGS, Encoding, Failed
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
    """Implements `workloads.session.Session`."""

    def __init__(self, *, timeout_ns: int, encoding: Encoding = ENCODINGS["register"]) -> None:
        self._timeout_ns, self._encoding = timeout_ns, encoding
        self._session = 0
        self._sequence = 0
        self._open: Operation | None = None
        self._command = b""
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
        request = self._encoding.request(operation, now_ns)
        if isinstance(request, kv.Query):
            return self._send(Query(operation_id, kv.encode(request)))
        self._command = kv.encode(request)
        if self._session == 0:
            return self._send(OpenSession(f"{operation_id}/session"))  # an id of its own, for the trace
        return self._submit()

    def received(self, now_ns: int, payload: Any) -> SessionStep:
        """Match the reply to the open operation."""
        reply: ClientReply = payload
        operation = self._open
        if operation is None or reply.operation != self._awaited:
            return self._unchanged()  # an answer that came after its deadline
        match reply:
            case SessionOpened(session=session):
                self._session, self._sequence = session, 0
                return self._submit()
            case Done():
                return self._done(operation, reply)
            case Refused(reason=reason):
                if reason == "session-expired":
                    self._session = 0
                return self._fail(reason.value)
            case OutcomeUnknown():
                return self._fail("outcome-unknown")
            case StatusReport():
                raise AssertionError("nobody asked for a status")
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

    def _submit(self) -> SessionStep:
        self._sequence += 1
        self._submitted = True
        return self._send(Submit(self._operation_id, self._session, self._sequence, self._command))

    def _send(self, payload: OpenSession | Submit | Query) -> SessionStep:
        self._awaited = payload.operation
        return SessionStep(sends=(payload,), deadline_ns=self._deadline_ns)

    def _done(self, operation: Operation, reply: Done) -> SessionStep:
        position = (reply.term, reply.index)
        answer = self._encoding.answer(operation, kv.decode_result(reply.result))
        return self._fail(answer.error, position) if isinstance(answer, Failed) else self._ok(answer, position)

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
