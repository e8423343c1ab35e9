"""What a leader knows of one follower, and how fast it may send to it (etcd's Probe, Replicate and Snapshot).

PROBE: the follower's log is not known to match; one append at a time. REPLICATE: it matches up to `match`; appends are
sent ahead of their acknowledgements, as far as the window goes. SNAPSHOT: what it lacks is no longer in the log; chunks
of a snapshot are sent one at a time, and empty appends as heartbeats. Decides nothing about commitment.
"""

from __future__ import annotations

from collections import deque

from raft_trio.types import LogIndex, Snapshot

__all__ = ["Progress"]


class Progress:
    """A follower as its leader sees it."""

    __slots__ = (
        "awaits_probe",
        "chunk_sent_ns",
        "contact_due",
        "heard_ns",
        "inflight",
        "inflight_bytes",
        "match",
        "next",
        "offset",
        "probing",
        "round",
        "snapshot",
        "verify_due",
    )

    def __init__(self, *, next_index: LogIndex, heard_ns: int) -> None:
        self.match: LogIndex = 0
        """Highest index known to be durable on the follower and equal to ours."""
        self.next: LogIndex = next_index
        self.probing = True
        self.awaits_probe = False
        """A probe is under way; do not send another before an answer or the next heartbeat's."""
        self.inflight: deque[tuple[LogIndex, int]] = deque()
        """Last index and bytes of every unacknowledged append, the indexes rising."""
        self.inflight_bytes = 0
        self.heard_ns = heard_ns
        """When it last answered in this term."""
        self.round = 0
        """Newest read round it has answered."""
        self.contact_due = True
        """Send at least an empty append: heartbeat, read round, or news of the commit index."""
        self.verify_due = True
        """Find out whether its log fits up to `next` - 1: at the start, and when it answers a heartbeat though appends
        are unacknowledged, which may have been lost."""
        self.snapshot: Snapshot | None = None
        """The one being sent; None: not in state SNAPSHOT."""
        self.offset = 0
        """Where the chunk under way begins."""
        self.chunk_sent_ns: int | None = None
        """When the chunk under way was sent; None: none is."""

    @property
    def state(self) -> str:
        """probe, replicate or snapshot."""
        if self.snapshot is not None:
            return "snapshot"
        return "probe" if self.probing else "replicate"

    def may_send(self, messages: int, size: int) -> bool:
        """Whether an append with entries may leave now; the window is `messages` and `size` in bytes."""
        if self.probing:
            return not self.awaits_probe
        return len(self.inflight) < messages and self.inflight_bytes < size

    def sent(self, last_index: LogIndex, size: int) -> None:
        """An append up to `last_index` left."""
        if self.probing:
            self.awaits_probe = True
        else:
            self.next = last_index + 1
            self.inflight.append((last_index, size))
            self.inflight_bytes += size

    def acknowledged(self, match: LogIndex) -> None:
        """The follower's log equals ours up to `match`: replicate from there on."""
        self.match = match
        self.awaits_probe = False
        if self.probing:
            self.probing = False
            self.next = match + 1
        elif self.next <= match:
            self.next = match + 1
        inflight = self.inflight
        while inflight and inflight[0][0] <= match:
            self.inflight_bytes -= inflight.popleft()[1]

    def rewind(self, next_index: LogIndex) -> None:
        """Something sent did not fit: probe from `next_index`, but never below what is known to match."""
        self.next = max(next_index, self.match + 1)
        self.probing = True
        self.awaits_probe = False
        self.inflight.clear()
        self.inflight_bytes = 0

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_snapshot(self, snapshot: Snapshot) -> None:
        """What it needs next is gone from the log: send `snapshot` from its beginning."""
        self.rewind(self.next)
        self.snapshot = snapshot
        self.offset = 0
        self.chunk_sent_ns = None

    def end_snapshot(self) -> None:
        """It has all that the snapshot covers, or another way was found: probe behind what is known to match."""
        self.snapshot = None
        self.chunk_sent_ns = None
        self.next = self.match + 1
        self.verify_due = True
