"""Reads without asking anybody, while a lease says that nobody else can lead (thesis §6.4.1). Off by default.

A follower that answered gives no vote for the shortest election timeout from then on (stickiness), so a leader that a
quorum has answered may read until that time has passed since it *asked*, less what clocks may drift apart. Off by
default because it trusts clocks: those of two nodes must not differ in rate by more than `max_clock_drift_ppm`.

What makes another leader possible earlier voids the lease: a word to campaign at once (transfer), and a stop of this
process, after which its clock is not believed before a quorum has answered again.
"""

from __future__ import annotations

from raft_trio.core.state import CoreState

__all__ = ["holds_lease", "note_answered", "note_asked", "void_lease"]


def note_asked(state: CoreState, now_ns: int) -> None:
    """Round `round_sent` begins now: nothing that carries its number was sent earlier."""
    state.lease_rounds.append((state.round_sent, now_ns))


def note_answered(state: CoreState, now_ns: int, newest: int) -> None:
    """A quorum has answered round `newest`, and all before it."""
    rounds = state.lease_rounds
    while rounds and rounds[0][0] <= newest:
        asked_ns = rounds.popleft()[1]
        state.lease_start_ns = state.rules.lease_start_ns(asked_ns, now_ns)


def holds_lease(state: CoreState, now_ns: int) -> bool:
    """Whether this leader may answer a read at once."""
    config = state.config
    if state.lease_start_ns is None or state.lease_is_void or _has_stood_still(state, now_ns):
        return False
    return state.rules.lease_holds(
        now_ns - state.lease_start_ns, config.election_timeout_min_ns, config.max_clock_drift_ppm
    )


def void_lease(state: CoreState) -> None:
    """Believe nothing that was asked or answered before now."""
    state.lease_start_ns = None
    state.lease_rounds.clear()


def _has_stood_still(state: CoreState, now_ns: int) -> bool:
    """The heartbeat is so late that this process was stopped, or the machine is not to be trusted with time."""
    return now_ns - state.heartbeat_due_ns > state.config.election_timeout_min_ns // 2
