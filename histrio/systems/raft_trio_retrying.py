"""The client that real users have: it looks for the leader and tries again, under the same session and sequence.

The second client mode (`--system-option client=retrying`). Each operation is carried out once however often it is sent
(thesis §6.3), and what the client cannot know it says: an operation has failed only if every try of it was refused or
certainly never arrived; one try without an answer leaves the outcome open.
"""

from __future__ import annotations

from typing import Any, assert_never

from histrio.systems.raft_trio_encoding import Encoding, Failed
from raft_trio import kv
from raft_trio.messages import (
    ClientReply,
    Done,
    OpenSession,
    OutcomeUnknown,
    Query,
    Refusal,
    Refused,
    SessionOpened,
    StatusReport,
    Submit,
)
from workloads.errors import outcome_of
from workloads.session import Completion, Operation, Outcome, SessionStep

__all__ = ["RetryingSession"]

BACKOFF_NS = 20_000_000
"""Between a refusal and the next try. Elections take 150 to 600 ms."""
TRIES_IN_A_TIMEOUT = 4
"""A node that does not answer for this part of the time-out is given up for the next one."""


class RetryingSession:
    """Implements `workloads.session.Session`, without being bound to its node."""

    def __init__(
        self,
        *,
        timeout_ns: int,
        nodes: tuple[str, ...],
        first: int,
        encoding: Encoding,
        anew: bool = False,
    ) -> None:
        """first: place of the node that is asked first. anew: every try takes a new sequence, which breaks the client
        (planted bug K6)."""
        self._timeout_ns, self._patience_ns = timeout_ns, timeout_ns // TRIES_IN_A_TIMEOUT
        self._encoding, self._anew = encoding, anew
        self._nodes, self._place = nodes, first % len(nodes)
        self._session = self._sequence = 0
        self._open: Operation | None = None
        self._request: kv.Query | kv.Command | None = None
        self._operation_id = self._awaited = ""
        self._deadline_ns = 0
        self._try_at_ns: int | None = None
        """When to try again; None: a try is under way."""
        self._patient_until_ns = 0
        self._unanswered = 0
        """Tries that may have taken effect or still may."""
        self._error = "timeout"
        """Why the last try failed."""

    def invoke(self, now_ns: int, operation: Operation, operation_id: str) -> SessionStep:
        """Ask the node that answered last."""
        assert self._open is None, "one operation at a time"
        self._open, self._operation_id = operation, operation_id
        self._deadline_ns = now_ns + self._timeout_ns
        self._request = self._encoding.request(operation, now_ns)
        self._unanswered, self._error = 0, "timeout"
        self._sequence += 1
        return self._try(now_ns)

    def received(self, now_ns: int, payload: Any) -> SessionStep:
        """Match the reply to the open operation."""
        reply: ClientReply = payload
        operation = self._open
        if operation is None or self._try_at_ns is not None or reply.operation != self._awaited:
            return self._waiting()
        match reply:
            case SessionOpened(session=session):
                self._session, self._sequence = session, 1
                return self._try(now_ns)
            case Done(result=result, term=term, index=index):
                return self._done(operation, kv.decode_result(result), (term, index))
            case Refused(reason=Refusal.SESSION_EXPIRED | Refusal.BAD_REQUEST as reason):
                self._answered()
                self._session = 0 if reason is Refusal.SESSION_EXPIRED else self._session
                return self._give_up(reason.value)
            case Refused(reason=reason, leader=leader):
                self._answered()
                return self._again(now_ns, reason.value, leader)
            case OutcomeUnknown() | StatusReport():  # nobody asked for a report
                return self._again(now_ns, "outcome-unknown", None)
            case StatusReport():
                raise AssertionError("nobody asked for a status")
            case _:
                assert_never(reply)

    def disconnected(self, now_ns: int, *, delivered: bool) -> SessionStep:
        """Try the next node."""
        if self._open is None or self._try_at_ns is not None:
            return self._waiting()
        if not delivered:
            self._answered()
        return self._again(now_ns, "connection-lost" if delivered else "connection-refused", None)

    def wake(self, now_ns: int) -> SessionStep:
        """Time to give up, to try again, or to lose patience with a node."""
        if self._open is None:
            return SessionStep()
        if now_ns >= self._deadline_ns:
            return self._give_up("timeout" if self._unanswered else self._error)
        if self._try_at_ns is not None and now_ns >= self._try_at_ns:
            return self._try(now_ns)
        if self._try_at_ns is None and now_ns >= self._patient_until_ns:
            return self._again(now_ns, "timeout", None)
        return self._waiting()

    # ── tries ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _try(self, now_ns: int) -> SessionStep:
        payload = self._payload()
        self._unanswered += isinstance(payload, Submit)
        self._awaited = payload.operation
        self._try_at_ns, self._patient_until_ns = None, now_ns + self._patience_ns
        deadline_ns = min(self._deadline_ns, self._patient_until_ns)
        return SessionStep(sends=(payload,), deadline_ns=deadline_ns, node=self._nodes[self._place])

    def _payload(self) -> OpenSession | Query | Submit:
        request = self._request
        assert request is not None
        if isinstance(request, kv.Query):
            return Query(self._operation_id, kv.encode(request))
        if self._session == 0:
            return OpenSession(f"{self._operation_id}/session")
        if self._anew and self._unanswered:
            self._sequence += 1
        return Submit(self._operation_id, self._session, self._sequence, kv.encode(request))

    def _answered(self) -> None:
        """The try under way certainly has no effect."""
        if self._awaited == self._operation_id and self._unanswered:
            self._unanswered -= 1

    def _again(self, now_ns: int, error: str, leader: str | None) -> SessionStep:
        """Soon, at the leader that was named, else at the next node."""
        self._error = error
        if leader is not None and leader != self._nodes[self._place] and leader in self._nodes:
            self._place = self._nodes.index(leader)
        else:
            self._place = (self._place + 1) % len(self._nodes)
        self._try_at_ns = now_ns + BACKOFF_NS
        return self._waiting()

    def _waiting(self) -> SessionStep:
        if self._open is None:
            return SessionStep()
        next_ns = self._patient_until_ns if self._try_at_ns is None else self._try_at_ns
        return SessionStep(deadline_ns=min(self._deadline_ns, next_ns))

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _done(self, operation: Operation, result: kv.Result, position: tuple[int, int]) -> SessionStep:
        answer = self._encoding.answer(operation, result)
        if isinstance(answer, Failed):
            return self._end(outcome_of(answer.error), error=answer.error, position=position)
        return self._end(Outcome.OK, value=answer, position=position)

    def _give_up(self, error: str) -> SessionStep:
        """Failed, if no try may have had an effect."""
        if self._unanswered == 0:
            return self._end(Outcome.FAIL, error=error)
        indefinite = error if outcome_of(error) is Outcome.INFO else "outcome-unknown"
        return self._end(outcome_of(indefinite), error=indefinite)

    def _end(
        self,
        outcome: Outcome,
        *,
        value: Any = None,
        error: str | None = None,
        position: tuple[int, int] | None = None,
    ) -> SessionStep:
        self._open = None
        return SessionStep(completion=Completion(outcome=outcome, value=value, error=error, position=position))
