"""Moving the log from a leader to its followers and finding out what is committed (Raft §5.3, §5.4.2).

Both sides of AppendEntries. Terms were compared by the dispatcher (`raft_trio.core.raft`) before anything here runs.
A leader sends once per hand-over (`replicate`), so that all proposals of a batch travel in one message.
"""

from __future__ import annotations

from raft_trio.core.configurations import config_of
from raft_trio.core.installation import send_snapshot
from raft_trio.core.log import entry_digest, entry_size, payload_size
from raft_trio.core.membership import put_in_force, take_back
from raft_trio.core.progress import Progress
from raft_trio.core.quorum import quorum_value
from raft_trio.core.reads import confirm_rounds
from raft_trio.core.state import CoreState
from raft_trio.messages import AppendEntriesRequest, AppendEntriesResponse
from raft_trio.trace import Appended, Committed, Truncated
from raft_trio.types import EntryType, LogEntry, LogIndex, NodeId

__all__ = ["append_own", "count_own", "replicate", "step_append", "step_appended"]

# Looking a member up in its enumeration costs as much as a call, and this happens for every entry.
_CONFIGURATION = EntryType.CONFIGURATION


# ── follower ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def step_append(state: CoreState, request: AppendEntriesRequest) -> None:
    """A follower takes an append of its leader, or refuses it with a hint."""
    rules = state.rules
    log = state.log
    if not rules.accepts_append(log, request):
        _refuse(state, request)
        return
    cut, entries = rules.merge(log, request)
    if cut is not None:
        _truncate(state, cut)
    for entry in entries:
        _append(state, entry)
    proved = request.prev_index + len(request.entries)
    _set_commit(state, rules.follower_commit(state.commit, request.commit, proved, log.last_index))
    match = rules.match_to_acknowledge(request, log.last_index)
    response = AppendEntriesResponse(state.term, True, request.prev_index, match, 0, 0, request.round)
    state.send_after_sync(request.leader, response)


def _refuse(state: CoreState, request: AppendEntriesRequest) -> None:
    index, term = state.rules.refusal_hint(state.log, request)
    # A refusal is an answer to the leader of our own term, and so confirms its read round as an acceptance does.
    response = AppendEntriesResponse(state.term, False, request.prev_index, 0, index, term, request.round)
    state.send_after_sync(request.leader, response)


def _truncate(state: CoreState, index: LogIndex) -> None:
    assert index > state.commit, (
        f"{state.node} was told to remove entry {index}, but entries up to {state.commit} are committed: "
        "two leaders disagree about a committed entry (Leader Completeness, Raft §5.4.3)"
    )
    state.log.truncate_from(index)
    for mark in state.write_marks:
        mark.lowest_cut = min(mark.lowest_cut, index)
    state.trace.append(Truncated(index))
    if state.configs[-1][0] >= index:
        take_back(state, index)


def _append(state: CoreState, entry: LogEntry) -> None:
    state.log.append(entry)
    if state.config.detailed_trace:
        state.trace.append(Appended(entry.index, entry.term, entry_digest(entry)))
    if entry.type is _CONFIGURATION:
        put_in_force(state, entry.index, config_of(entry))


def _set_commit(state: CoreState, commit: LogIndex) -> None:
    if commit != state.commit:
        state.commit = commit
        state.trace.append(Committed(commit))


# ── leader ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def append_own(
    state: CoreState, type_: EntryType, operation: str, session: int, sequence: int, data: bytes
) -> LogIndex:
    """The leader adds an entry of its term to its log; it is sent with the next hand-over."""
    index = state.log.last_index + 1
    entry = LogEntry(index, state.term, type_, operation, session, sequence, data)
    _append(state, entry)
    state.uncommitted_bytes += entry_size(entry)
    count_own(state)
    return index


def replicate(state: CoreState, now_ns: int) -> None:
    """Leader, once per hand-over: send every follower what its window allows, or an empty append where one is due."""
    log = state.log
    last_index, base_index = log.last_index, log.base_index
    messages, size = state.config.max_inflight_msgs, state.config.max_inflight_bytes
    for peer, progress in state.progress.items():
        if progress.next <= base_index:
            if progress.contact_due:
                _send_empty(state, peer, progress, progress.match)
            send_snapshot(state, now_ns, peer, progress)
            continue
        sent = False
        while progress.next <= last_index and progress.may_send(messages, size):
            _send_entries(state, peer, progress)
            sent = True
            if progress.probing:
                break
        if sent:
            progress.contact_due = progress.verify_due = False
        elif progress.verify_due:
            _send_empty(state, peer, progress, progress.next - 1)
        elif progress.contact_due:
            _send_empty(state, peer, progress, state.rules.heartbeat_prev(progress.match, progress.next))


def step_appended(state: CoreState, now_ns: int, peer: NodeId, response: AppendEntriesResponse) -> None:
    """A follower answered an append of our term."""
    progress = state.progress.get(peer)
    if progress is None:
        return
    progress.heard_ns = now_ns
    if response.round > progress.round:
        progress.round = response.round
        confirm_rounds(state, now_ns)
    if response.success:
        _accepted(state, progress, response)
    else:
        _refused(state, progress, response)


def count_own(state: CoreState) -> None:
    """The leader's log grew or became durable: what it counts itself for may have changed."""
    log = state.log
    if state.rules.own_match(log.last_index, log.synced_index) > state.commit:
        _advance_commit(state)


def _accepted(state: CoreState, progress: Progress, response: AppendEntriesResponse) -> None:
    acknowledged = response.match_index
    assert acknowledged <= state.log.last_index, (
        f"{state.node} leads term {state.term} with {state.log.last_index} entries, but a follower acknowledged "
        f"{acknowledged}: it acknowledges more than it was sent"
    )
    match = state.rules.next_match(progress.match, acknowledged)
    if progress.snapshot is not None:
        _accepted_meanwhile(state, progress, match)
    elif match != progress.match or (progress.probing and match == progress.next - 1):
        progress.acknowledged(match)
        if match > state.commit:
            _advance_commit(state)
    elif acknowledged == response.prev_index:
        progress.awaits_probe = False
        progress.verify_due = progress.match < state.log.last_index


def _accepted_meanwhile(state: CoreState, progress: Progress, match: LogIndex) -> None:
    """While it is being sent a snapshot: a heartbeat's answer, or one to an append sent before."""
    progress.match = match
    if match >= state.log.base_index:
        progress.end_snapshot()
    if match > state.commit:
        _advance_commit(state)


def _refused(state: CoreState, progress: Progress, response: AppendEntriesResponse) -> None:
    if progress.snapshot is not None:
        return
    stale = response.prev_index != progress.next - 1 if progress.probing else response.prev_index <= progress.match
    if not stale:
        progress.rewind(state.rules.next_after_refusal(state.log, response))
        progress.contact_due = True


def _advance_commit(state: CoreState) -> None:
    """Recompute the commit index from what each voter is known to have (Raft §5.3, §5.4.2)."""
    rules = state.rules
    log = state.log
    matches = {peer: progress.match for peer, progress in state.progress.items()}
    matches[state.node] = rules.own_match(log.last_index, log.synced_index)
    on_quorum = quorum_value(state.electorates, matches, rules.majority)
    before = state.commit
    commit = rules.leader_commit(before, on_quorum, log.term_at(on_quorum), state.term)
    if commit == before:
        return
    _set_commit(state, commit)
    for entry in log.between(before + 1, commit):
        if entry.term == state.term:
            state.uncommitted_bytes -= entry_size(entry)


def _send_entries(state: CoreState, peer: NodeId, progress: Progress) -> None:
    first = progress.next
    config = state.config
    window = state.log.between(first, first + config.max_entries_per_message - 1)
    entries = state.rules.message_entries(window, config.max_bytes_per_message)
    _send_append(state, peer, first - 1, entries, state.commit)
    progress.sent(first - 1 + len(entries), payload_size(entries))


def _send_empty(state: CoreState, peer: NodeId, progress: Progress, prev_index: LogIndex) -> None:
    progress.contact_due = progress.verify_due = False
    if prev_index < state.log.base_index:  # its term is forgotten; nothing is claimed then
        prev_index = 0
    commit = state.rules.commit_to_tell(state.commit, prev_index)
    _send_append(state, peer, prev_index, (), commit)


def _send_append(
    state: CoreState, peer: NodeId, prev_index: LogIndex, entries: tuple[LogEntry, ...], commit: LogIndex
) -> None:
    prev_term = state.log.term_at(prev_index) if prev_index else 0
    assert prev_term is not None, f"{state.node} sends from entry {prev_index}, which its log does not have"
    request = AppendEntriesRequest(state.term, state.node, prev_index, prev_term, entries, commit, state.round_sent)
    state.send(peer, request)
