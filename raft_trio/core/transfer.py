"""Handing leadership over on purpose (thesis §3.10).

The leader stops taking proposals, waits until the target has its whole log, and tells it to campaign at once. If that
leads to nothing within an election timeout, it goes on as before. Both sides are here.
"""

from __future__ import annotations

from raft_trio.core.election import campaign_at_once
from raft_trio.core.quorum import is_voter
from raft_trio.core.state import CoreState, Transfer
from raft_trio.messages import Refusal, TimeoutNow
from raft_trio.types import NodeId, Role

__all__ = ["begin_transfer", "end_if_overdue", "go_on_with_transfer", "step_timeout_now"]


def begin_transfer(state: CoreState, now_ns: int, target: NodeId) -> Refusal | None:
    """Leader: start handing over to `target`, or to the voter with the longest log when it is empty; None: begun."""
    if state.role is not Role.LEADER:
        return Refusal.NOT_LEADER
    target = target or _most_advanced(state)
    if target == state.node or target not in state.progress or not is_voter(target, state.electorates):
        return Refusal.BAD_REQUEST
    if state.transfer is not None:
        return None if state.transfer.target == target else Refusal.TRANSFER_IN_PROGRESS
    state.transfer = Transfer(target, now_ns + state.config.election_timeout_max_ns)
    return None


def go_on_with_transfer(state: CoreState) -> None:
    """Leader, once per hand-over while a transfer is under way: give the word once the target has everything."""
    transfer = state.transfer
    assert transfer is not None, "asked only while a transfer is under way"
    progress = state.progress.get(transfer.target)
    if progress is None:  # removed meanwhile
        state.transfer = None
    elif not transfer.told and state.rules.transfer_may_fire(progress.match, state.log.last_index):
        transfer.told = True
        state.lease_is_void = True
        state.send(transfer.target, TimeoutNow(state.term, state.node))


def end_if_overdue(state: CoreState, now_ns: int) -> None:
    """Leader: take proposals again when the target did not take over in time."""
    if state.transfer is not None and state.rules.transfer_is_over(now_ns, state.transfer.deadline_ns):
        state.transfer = None


def step_timeout_now(state: CoreState, now_ns: int, source: NodeId, message: TimeoutNow) -> None:
    """Our leader wants us to take over: campaign without waiting, and without asking first."""
    current = state.rules.obeys_timeout_now(message.term, state.term)
    if current and state.role is Role.FOLLOWER and is_voter(state.node, state.electorates):
        campaign_at_once(state, now_ns)


def _most_advanced(state: CoreState) -> NodeId:
    voters = [peer for peer in state.peers if is_voter(peer, state.electorates)]
    return max(voters, key=lambda peer: state.progress[peer].match, default="")
