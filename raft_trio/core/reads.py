"""Linearizable reads without log entries: batched ReadIndex (thesis §6.4).

A leader gathers reads while its hand-over forms, opens one round for all of them when the hand-over is taken, and
answers them when a quorum has echoed the round's number. A read joins only a round that has not been sent. A follower
asks its leader. Reads that nobody answers expire; a leader that steps down refuses its reads.
"""

from __future__ import annotations

from raft_trio.core.lease import holds_lease, note_answered, note_asked
from raft_trio.core.quorum import quorum_value
from raft_trio.core.ready import ReadState
from raft_trio.core.state import CoreState, PendingRead, ReadRound
from raft_trio.messages import ReadIndexRequest, ReadIndexResponse
from raft_trio.types import LogIndex, NodeId, Role

__all__ = ["ask", "confirm_rounds", "expire", "expiry_ns", "open_round", "refuse_all", "step_answer", "step_request"]

REFUSED: LogIndex = 0


def ask(state: CoreState, now_ns: int, context: int, operation: str) -> None:
    """This node wants to read: see `RaftCore.read_index`."""
    local = state.rules.local_read_index(state.role, state.commit)
    if local is not None:
        state.read_states.append(ReadState(context, local, state.term))
    elif state.role is Role.LEADER:
        _enqueue(state, PendingRead(None, context, _expiry(state, now_ns)))
    elif state.leader is None:
        state.read_states.append(ReadState(context, None, state.term))
    else:
        state.next_ask += 1
        state.asked[state.next_ask] = PendingRead(None, context, _expiry(state, now_ns))
        state.send(state.leader, ReadIndexRequest(state.term, state.next_ask, operation))


def step_request(state: CoreState, now_ns: int, asker: NodeId, request: ReadIndexRequest) -> None:
    """A follower asks us, its leader as it believes."""
    if state.role is Role.LEADER:
        _enqueue(state, PendingRead(asker, request.context, _expiry(state, now_ns)))
    else:
        state.send(asker, ReadIndexResponse(state.term, request.context, REFUSED))


def step_answer(state: CoreState, response: ReadIndexResponse) -> None:
    """The leader answered; a context not in our books is a duplicate or of an earlier life and ignored."""
    read = state.asked.pop(response.context, None)
    if read is not None:
        index = None if response.index == REFUSED else response.index
        state.read_states.append(ReadState(read.context, index, response.term))


def open_round(state: CoreState, now_ns: int) -> None:
    """Leader, once per hand-over if reads wait: give them a round, and have all followers contacted."""
    if not _may_read(state):
        return
    reads, state.waiting_reads = tuple(state.waiting_reads), []
    if not state.rules.read_needs_round() or (state.config.lease_reads and holds_lease(state, now_ns)):
        _answer(state, reads, state.commit)
        return
    number = state.rules.round_to_join(state.round_sent)
    state.read_rounds.append(ReadRound(number, state.commit, reads))
    state.round_sent += 1
    if state.config.lease_reads:
        note_asked(state, now_ns)
    for progress in state.progress.values():
        progress.contact_due = True
    confirm_rounds(state, now_ns)


def confirm_rounds(state: CoreState, now_ns: int) -> None:
    """Answer every read whose round a quorum, this leader included, has echoed."""
    if not state.read_rounds and not state.lease_rounds:
        return
    answered = {peer: progress.round for peer, progress in state.progress.items()}
    answered[state.node] = state.round_sent
    newest = quorum_value(state.electorates, answered, state.rules.majority)
    if state.lease_rounds:
        note_answered(state, now_ns, newest)
    while state.read_rounds and state.rules.round_confirms(newest, state.read_rounds[0].number):
        confirmed = state.read_rounds.popleft()
        _answer(state, confirmed.reads, confirmed.index)


def refuse_all(state: CoreState) -> None:
    """Whoever waits here gets a refusal: leadership or the leader was lost."""
    waiting = [read for confirmed in state.read_rounds for read in confirmed.reads]
    waiting += state.waiting_reads
    state.read_rounds.clear()
    state.waiting_reads.clear()
    _answer(state, waiting, REFUSED)
    _answer(state, list(state.asked.values()), REFUSED)
    state.asked.clear()


def expire(state: CoreState, now_ns: int) -> None:
    """Refuse what has waited for an election timeout: its answer was lost, or no quorum is there."""
    first_ns = expiry_ns(state)
    if first_ns is None or now_ns < first_ns:
        return
    for context in [context for context, read in state.asked.items() if read.expires_ns <= now_ns]:
        _answer(state, (state.asked.pop(context),), REFUSED)
    while state.read_rounds and state.read_rounds[0].reads[-1].expires_ns <= now_ns:
        _answer(state, state.read_rounds.popleft().reads, REFUSED)
    late = [read for read in state.waiting_reads if read.expires_ns <= now_ns]
    if late:
        state.waiting_reads = [read for read in state.waiting_reads if read.expires_ns > now_ns]
        _answer(state, late, REFUSED)


def expiry_ns(state: CoreState) -> int | None:
    """When `expire` next has something to do; None: no read waits."""
    first: int | None = None
    if state.waiting_reads:
        first = state.waiting_reads[0].expires_ns
    if state.read_rounds:
        first = _earlier(first, state.read_rounds[0].reads[-1].expires_ns)
    if state.asked:
        first = _earlier(first, next(iter(state.asked.values())).expires_ns)
    return first


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _earlier(first: int | None, second: int) -> int:
    return second if first is None or second < first else first


def _expiry(state: CoreState, now_ns: int) -> int:
    return now_ns + state.config.election_timeout_max_ns


def _enqueue(state: CoreState, read: PendingRead) -> None:
    state.waiting_reads.append(read)


def _may_read(state: CoreState) -> bool:
    return state.rules.leader_may_read(state.log.term_at(state.commit), state.term)


def _answer(state: CoreState, reads: tuple[PendingRead, ...] | list[PendingRead], index: LogIndex) -> None:
    for read in reads:
        if read.asker is None:
            state.read_states.append(ReadState(read.context, index if index != REFUSED else None, state.term))
        else:
            state.send(read.asker, ReadIndexResponse(state.term, read.context, index))
            if read.asker in state.progress:  # the asker will wait for the commit index: let it come along
                state.progress[read.asker].contact_due = True
