"""What a leader knows of one follower, and how fast it may send to it (etcd's Probe and Replicate).

PROBE: the follower's log is not known to match; one append at a time. REPLICATE: it matches up to `match`; appends are
sent ahead of their acknowledgements, as far as the window goes. Decides nothing about commitment.
"""

from __future__ import annotations

from collections import deque

from raft_trio.types import LogIndex

__all__ = ["Progress"]


class Progress:
    """A follower as its leader sees it."""

    __slots__ = (
        "awaits_probe",
        "contact_due",
        "heard_ns",
        "inflight",
        "match",
        "next",
        "probing",
        "round",
        "verify_due",
    )

    def __init__(self, *, next_index: LogIndex, heard_ns: int) -> None:
        self.match: LogIndex = 0
        """Highest index known to be durable on the follower and equal to ours."""
        self.next: LogIndex = next_index
        self.probing = True
        self.awaits_probe = False
        """A probe is under way; do not send another before an answer or the next heartbeat's."""
        self.inflight: deque[LogIndex] = deque()
        """Last index of every unacknowledged append, rising."""
        self.heard_ns = heard_ns
        """When it last answered in this term."""
        self.round = 0
        """Newest read round it has answered."""
        self.contact_due = True
        """Send at least an empty append: heartbeat, read round, or news of the commit index."""
        self.verify_due = True
        """Find out whether its log fits up to `next` - 1: at the start, and when it answers a heartbeat though appends
        are unacknowledged, which may have been lost."""

    def may_send(self, window: int) -> bool:
        """Whether an append with entries may leave now; `window` in messages."""
        return not self.awaits_probe if self.probing else len(self.inflight) < window

    def sent(self, last_index: LogIndex) -> None:
        """An append up to `last_index` left."""
        if self.probing:
            self.awaits_probe = True
        else:
            self.next = last_index + 1
            self.inflight.append(last_index)

    def acknowledged(self, match: LogIndex) -> None:
        """The follower's log equals ours up to `match`: replicate from there on."""
        self.match = match
        self.awaits_probe = False
        if self.probing:
            self.probing = False
            self.next = match + 1
        elif self.next <= match:
            self.next = match + 1
        while self.inflight and self.inflight[0] <= match:
            self.inflight.popleft()

    def rewind(self, next_index: LogIndex) -> None:
        """Something sent did not fit: probe from `next_index`, but never below what is known to match."""
        self.next = max(next_index, self.match + 1)
        self.probing = True
        self.awaits_probe = False
        self.inflight.clear()
