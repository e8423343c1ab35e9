"""Changes of the membership: joint consensus, learners, and what a configuration changes at once (Raft §6; thesis §4).

Belongs here: putting a configuration in force when it is appended, taking it back when it is truncated, and leading a
change through its two steps. Whether a step is allowed is decided by `raft_trio.rules`; which configuration a change
aims at, by `raft_trio.core.configurations`.
"""

from __future__ import annotations

from raft_trio.core.configurations import Positioned, configured, peers_of
from raft_trio.core.progress import Progress
from raft_trio.core.state import CoreState
from raft_trio.messages import Refusal
from raft_trio.types import Config, LogIndex, NodeId, Role

__all__ = [
    "config_at",
    "forget_configurations",
    "may_begin_change",
    "put_in_force",
    "restart_from",
    "take_back",
]


def put_in_force(state: CoreState, index: LogIndex, config: Config) -> None:
    """The configuration at `index` was appended: it counts from now on, committed or not."""
    state.configs.append((index, config))
    _apply(state)


def take_back(state: CoreState, index: LogIndex) -> None:
    """The log was truncated from `index`: configurations there never were."""
    while state.configs[-1][0] >= index:
        state.configs.pop()
    _apply(state)


def restart_from(state: CoreState, index: LogIndex, config: Config) -> None:
    """A snapshot replaced the log: its configuration is the only one known."""
    state.configs = [(index, config)]
    _apply(state)


def may_begin_change(state: CoreState, target: Config) -> Refusal | None:
    """Whether this leader may append the first configuration of a change to `target`; None: yes."""
    rules, log = state.rules, state.log
    if state.role is not Role.LEADER:
        return Refusal.NOT_LEADER
    if state.transfer is not None:
        return Refusal.TRANSFER_IN_PROGRESS
    if not rules.change_is_over(state.configs[-1][0], state.commit, state.membership):
        return Refusal.CHANGE_IN_PROGRESS
    if not rules.may_change_membership(log.term_at(state.commit), state.term):
        return Refusal.NOT_READY
    promoted = [node for node in target.voters if node not in state.membership.voters]
    behind = [node for node in promoted if not _has_caught_up(state, node)]
    return Refusal.NOT_CAUGHT_UP if behind else None


def _has_caught_up(state: CoreState, node: NodeId) -> bool:
    if node == state.node:
        return True
    progress = state.progress.get(node)
    return progress is not None and state.rules.has_caught_up(
        progress.match, state.log.last_index, state.config.max_entries_per_message
    )


def config_at(state: CoreState, index: LogIndex) -> Positioned:
    """The configuration that the log up to `index` leads to; `index` must not be below the base."""
    return next(known for known in reversed(state.configs) if known[0] <= index)


def forget_configurations(state: CoreState) -> None:
    """After a compaction: all but the last one at or below the base of the log."""
    base = state.log.base_index
    while len(state.configs) > 1 and state.configs[1][0] <= base:
        del state.configs[0]


def _apply(state: CoreState) -> None:
    index, config = state.configs[-1]
    state.membership = config
    state.electorates = state.rules.electorates(config)
    state.peers = peers_of(config, state.node)
    state.config_unsettled = bool(config.voters_outgoing) or state.node not in config.voters
    if state.role is Role.LEADER:
        _follow(state)
    state.trace.append(configured(index, config))


def _follow(state: CoreState) -> None:
    """A leader begins to send to those who are new and stops sending to those who are gone."""
    before = state.progress
    state.progress = {peer: before.get(peer) or _newcomer(state, peer) for peer in state.peers}


def _newcomer(state: CoreState, peer: NodeId) -> Progress:
    return Progress(next_index=state.log.last_index + 1, heard_ns=0)
