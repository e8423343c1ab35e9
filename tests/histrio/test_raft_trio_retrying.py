"""The retrying client: one operation under one sequence however often it is sent, and three outcomes all the same."""

from __future__ import annotations

import pytest

from histrio.systems.raft_trio_encoding import ENCODINGS
from histrio.systems.raft_trio_retrying import BACKOFF_NS, RetryingSession
from raft_trio import kv
from raft_trio.messages import Done, OpenSession, OutcomeUnknown, Query, Refusal, Refused, SessionOpened, Submit
from workloads.session import Operation, Outcome, SessionStep

TIMEOUT_NS = 4_000_000_000
PATIENCE_NS = TIMEOUT_NS // 4
NODES = ("n1", "n2", "n3")
APPEND, READ = Operation("append", "k", 7), Operation("read", "k")
COMMAND = kv.encode(kv.Append("k", 7))
APPENDED = kv.encode(kv.Appended(1))


def session(*, anew: bool = False) -> RetryingSession:
    return RetryingSession(timeout_ns=TIMEOUT_NS, nodes=NODES, first=1, encoding=ENCODINGS["append"], anew=anew)


def submitted(*, anew: bool = False) -> RetryingSession:
    """A session whose first append, `1.1`, has been sent to n2 at time 1."""
    one = session(anew=anew)
    assert one.invoke(0, APPEND, "1.1").sends == (OpenSession("1.1/session"),)
    step = one.received(1, SessionOpened("1.1/session", 40))
    assert (step.sends, step.node) == ((Submit("1.1", 40, 1, COMMAND),), "n2")
    return one


def ended(step: SessionStep) -> tuple[Outcome, str | None]:
    assert step.completion is not None
    return step.completion.outcome, step.completion.error


def test_a_refusal_is_followed_to_the_leader_under_the_same_sequence() -> None:
    """Thesis §6.2 and §6.3."""
    one = submitted()
    waiting = one.received(2, Refused("1.1", Refusal.NOT_LEADER, "n1"))
    assert (waiting.sends, waiting.deadline_ns) == ((), 2 + BACKOFF_NS)
    again = one.wake(2 + BACKOFF_NS)
    assert (again.sends, again.node) == ((Submit("1.1", 40, 1, COMMAND),), "n1")
    done = one.received(3 + BACKOFF_NS, Done("1.1", APPENDED, 2, 41)).completion
    assert done is not None
    assert (done.outcome, done.value, done.position) == (Outcome.OK, 7, (2, 41))
    following = one.invoke(4 + BACKOFF_NS, APPEND, "1.2")
    assert (following.sends, following.node) == ((Submit("1.2", 40, 2, COMMAND),), "n1"), "where it was served"


@pytest.mark.parametrize("leader", [None, "n2", "stranger"])
def test_without_a_better_hint_the_next_node_is_asked(leader: str | None) -> None:
    one = submitted()
    one.received(2, Refused("1.1", Refusal.NO_LEADER, leader))
    assert one.wake(2 + BACKOFF_NS).node == "n3"


def test_a_silent_node_is_given_up_for_the_next_one() -> None:
    one = submitted()
    assert one.wake(PATIENCE_NS).sends == (), "not yet"
    one.wake(1 + PATIENCE_NS)
    again = one.wake(1 + PATIENCE_NS + BACKOFF_NS)
    assert (again.sends, again.node) == ((Submit("1.1", 40, 1, COMMAND),), "n3")


def exhausted(one: RetryingSession) -> SessionStep:
    """Only refusals until the time is up."""
    now_ns = 10
    while True:
        step = one.wake(now_ns)
        if step.completion is not None:
            return step
        if step.sends:
            step = one.received(now_ns + 1, Refused("1.1", Refusal.NOT_LEADER))
        assert step.deadline_ns is not None
        now_ns = max(now_ns + 2, step.deadline_ns)


def test_what_was_refused_by_all_has_failed() -> None:
    one = submitted()
    one.received(2, Refused("1.1", Refusal.NO_LEADER))
    assert ended(exhausted(one)) == (Outcome.FAIL, "not-leader")


def test_one_try_that_may_have_had_an_effect_leaves_the_outcome_open() -> None:
    """However many refusals follow it: the first copy may be in a log."""
    for unclear in ("unknown", "silence", "broken"):
        one = submitted()
        match unclear:
            case "unknown":
                one.received(2, OutcomeUnknown("1.1", "leadership-lost"))
            case "silence":
                one.wake(1 + PATIENCE_NS)
            case _:
                one.disconnected(2, delivered=True)
        assert ended(exhausted(one)) == (Outcome.INFO, "timeout")


def test_a_connection_that_was_refused_leaves_nothing_open() -> None:
    one = submitted()
    one.disconnected(2, delivered=False)
    assert ended(exhausted(one)) == (Outcome.FAIL, "not-leader")


def test_an_expired_session_is_definite_only_if_no_earlier_try_is_open() -> None:
    """The refused copy had no effect; an earlier one may have."""
    assert ended(submitted().received(2, Refused("1.1", Refusal.SESSION_EXPIRED))) == (Outcome.FAIL, "session-expired")
    one = submitted()
    one.received(2, OutcomeUnknown("1.1", "superseded"))
    one.wake(2 + BACKOFF_NS)
    refused = one.received(3 + BACKOFF_NS, Refused("1.1", Refusal.SESSION_EXPIRED))
    assert ended(refused) == (Outcome.INFO, "outcome-unknown")
    following = one.invoke(TIMEOUT_NS, APPEND, "1.2")
    assert following.sends == (OpenSession("1.2/session"),), "a new session, because the old one is gone"


def test_a_read_that_nobody_answers_is_a_definite_failure() -> None:
    one = session()
    assert one.invoke(0, READ, "1.1").sends == (Query("1.1", kv.encode(kv.Get("k"))),)
    assert ended(one.wake(TIMEOUT_NS)) == (Outcome.FAIL, "timeout")


def test_late_answers_are_not_taken_for_those_of_the_next_operation() -> None:
    one = submitted()
    one.received(2, Done("1.1", APPENDED, 2, 41))
    one.invoke(3, APPEND, "1.2")
    assert one.received(4, Done("1.1", APPENDED, 2, 41)).completion is None
    assert one.received(5, Done("1.2", APPENDED, 2, 42)).completion is not None


def test_the_broken_client_takes_a_new_sequence_for_every_try_after_silence() -> None:
    """K6: the copy is a new command to the cluster."""
    one = submitted(anew=True)
    one.wake(1 + PATIENCE_NS)
    assert one.wake(1 + PATIENCE_NS + BACKOFF_NS).sends == (Submit("1.1", 40, 2, COMMAND),)
