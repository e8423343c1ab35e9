"""Leading a change of the membership through its two configurations (Raft §6; thesis §4.3).

The leader appends a joint configuration, in which both the old and the new voters must agree, and the new one when
that is committed; whoever leads by then does it. Learners have no vote, so a change of learners alone needs one step. A
leader that is no voter any more goes on until the last step is committed, without counting itself (thesis §4.2.2).
"""

from __future__ import annotations

from raft_trio.core.configurations import encode_config
from raft_trio.core.membership import may_begin_change
from raft_trio.core.replication import append_own
from raft_trio.core.roles import become_follower
from raft_trio.core.state import CoreState
from raft_trio.messages import Refusal
from raft_trio.types import Config, EntryType, LogIndex

__all__ = ["begin_change", "settle"]


def begin_change(state: CoreState, target: Config, operation: str) -> LogIndex | Refusal:
    """Leader: append the first configuration of a change to `target`; its index."""
    refusal = may_begin_change(state, target)
    if refusal is not None:
        return refusal
    if target == state.membership:
        return state.configs[-1][0]
    return _append(state, state.rules.first_step(state.membership, target), operation)


def settle(state: CoreState, now_ns: int) -> None:
    """Leader, once per hand-over while the configuration in force is no final one that it belongs to."""
    index, config = state.configs[-1]
    log = state.log
    committed = index <= state.commit and state.rules.may_change_membership(log.term_at(state.commit), state.term)
    if not committed:
        return
    if config.voters_outgoing:
        operation = log.entry(index).operation if index > log.base_index else ""
        _append(state, Config(voters=config.voters, learners=config.learners), operation)
    elif state.rules.removed_leader_steps_down(state.node in config.voters):
        become_follower(state, now_ns, state.term, leader=None)


def _append(state: CoreState, config: Config, operation: str) -> LogIndex:
    return append_own(state, EntryType.CONFIGURATION, operation, 0, 0, encode_config(config))
