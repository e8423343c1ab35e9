"""The client session of raft_trio: three outcomes, and a definite failure only where nothing can have happened."""

from __future__ import annotations

import pytest

from histrio.systems.raft_trio_session import RaftTrioSession
from raft_trio import kv
from raft_trio.messages import Done, OpenSession, OutcomeUnknown, Query, Refusal, Refused, SessionOpened, Submit
from workloads.errors import DEFINITE_ERRORS
from workloads.session import Operation, Outcome, SessionStep

TIMEOUT_NS = 1_000
READ = Operation("read", "r1")
WRITE = Operation("write", "r1", 7)
CAS = Operation("cas", "r1", (7, 8))


def submitted(operation: Operation = WRITE) -> RaftTrioSession:
    """A session that has sent the command of its first operation, `1.1`, at time 0."""
    session = RaftTrioSession(timeout_ns=TIMEOUT_NS)
    session.invoke(0, operation, "1.1")
    session.received(1, SessionOpened("1.1/session", 40))
    return session


def outcome(step: SessionStep) -> tuple[Outcome, str | None]:
    assert step.completion is not None
    return step.completion.outcome, step.completion.error


def test_the_first_command_of_a_process_waits_for_a_session_of_its_own() -> None:
    """Thesis §6.3: a command is applied at most once per session and sequence number."""
    session = RaftTrioSession(timeout_ns=TIMEOUT_NS)
    assert session.invoke(0, WRITE, "1.1").sends == (OpenSession("1.1/session"),)
    (submit,) = session.received(1, SessionOpened("1.1/session", 40)).sends
    assert submit == Submit("1.1", 40, 1, kv.encode(kv.Put("r1", 7)))


def test_later_commands_count_up_in_the_same_session() -> None:
    """A gap left by a command that was given up is legal; a number used twice would be a retry."""
    session = submitted()
    session.received(2, Done("1.1", kv.encode(kv.Stored()), 3, 41))
    (submit,) = session.invoke(3, CAS, "1.2").sends
    assert submit == Submit("1.2", 40, 2, kv.encode(kv.Cas("r1", 7, 8)))


def test_an_applied_command_is_ok_at_its_log_position() -> None:
    """Architecture §8: the history line carries (term, index)."""
    step = submitted().received(2, Done("1.1", kv.encode(kv.Stored()), 3, 41))
    assert step.completion is not None
    assert (step.completion.outcome, step.completion.value, step.completion.position) == (Outcome.OK, 7, (3, 41))


@pytest.mark.parametrize(("result", "value"), [(kv.Found(7), 7), (kv.Missing(), None)])
def test_a_read_is_ok_with_the_value_found(result: kv.Result, value: int | None) -> None:
    """An absent key reads as nil."""
    session = RaftTrioSession(timeout_ns=TIMEOUT_NS)
    assert session.invoke(0, READ, "1.1").sends == (Query("1.1", kv.encode(kv.Get("r1"))),)
    step = session.received(1, Done("1.1", kv.encode(result), 3, 41))
    assert step.completion is not None
    assert (step.completion.outcome, step.completion.value) == (Outcome.OK, value)


def test_a_failed_comparison_is_a_definite_failure() -> None:
    """Nothing was changed, and the machine says so."""
    step = submitted(CAS).received(2, Done("1.1", kv.encode(kv.Mismatch(5)), 3, 41))
    assert outcome(step) == (Outcome.FAIL, "cas-mismatch")


@pytest.mark.parametrize("reason", Refusal)
def test_every_refusal_is_definite(reason: Refusal) -> None:
    """A node refuses only what it did not pass on; the one table of definite errors knows every reason."""
    assert reason.value in DEFINITE_ERRORS
    assert outcome(submitted().received(2, Refused("1.1", reason))) == (Outcome.FAIL, reason.value)


def test_silence_after_a_command_leaves_its_outcome_open() -> None:
    """Architecture §4: `info`; calling it `fail` would accuse a correct system (K8)."""
    assert outcome(submitted().wake(TIMEOUT_NS)) == (Outcome.INFO, "timeout")
    assert outcome(submitted().disconnected(2, delivered=True)) == (Outcome.INFO, "connection-lost")
    assert outcome(submitted().received(2, OutcomeUnknown("1.1", "leadership-lost"))) == (
        Outcome.INFO,
        "outcome-unknown",
    )


def test_a_refused_connection_is_definite() -> None:
    """Nothing of the request left the client."""
    assert outcome(submitted().disconnected(2, delivered=False)) == (Outcome.FAIL, "connection-refused")


def test_silence_before_the_command_was_sent_is_definite() -> None:
    """Only a session was asked for, which changes no register."""
    session = RaftTrioSession(timeout_ns=TIMEOUT_NS)
    session.invoke(0, WRITE, "1.1")
    assert outcome(session.wake(TIMEOUT_NS)) == (Outcome.FAIL, "timeout")


def test_a_read_without_an_answer_is_a_definite_failure() -> None:
    """A read changes nothing, so it need not stay open for ever."""
    session = RaftTrioSession(timeout_ns=TIMEOUT_NS)
    session.invoke(0, READ, "1.1")
    assert outcome(session.wake(TIMEOUT_NS)) == (Outcome.FAIL, "timeout")


def test_an_answer_that_comes_after_the_deadline_is_not_taken_for_the_next_operations() -> None:
    """And it leaves the next operation's deadline as it was."""
    session = RaftTrioSession(timeout_ns=TIMEOUT_NS)
    session.invoke(0, READ, "1.1")
    session.wake(TIMEOUT_NS)
    session.invoke(TIMEOUT_NS, READ, "1.10")
    step = session.received(TIMEOUT_NS + 1, Done("1.1", kv.encode(kv.Found(1)), 3, 41))
    assert step == SessionStep(deadline_ns=2 * TIMEOUT_NS)


def test_an_expired_session_is_replaced_by_a_new_one() -> None:
    """The refused command had no effect; the next one opens a session again."""
    session = submitted()
    session.received(2, Refused("1.1", Refusal.SESSION_EXPIRED))
    assert session.invoke(3, WRITE, "1.2").sends == (OpenSession("1.2/session"),)
