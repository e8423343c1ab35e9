"""Settings of one node: names, defaults, validation. Nothing is read from files or the environment here.

The first seven names and defaults are those of the seed crate `ruvector-raft`; durations are integer nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from raft_trio.errors import ConfigError
from raft_trio.types import NodeId

__all__ = ["RaftNodeConfig"]

MS = 1_000_000
MIB = 1 << 20
ID_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class RaftNodeConfig:
    """One node's settings. Raises `ConfigError` for impossible ones.

    `RaftNodeConfig(...)` has every defence of a modern Raft on; `RaftNodeConfig.paper(...)` is Figure 2 of the paper.
    """

    node_id: NodeId
    cluster_members: tuple[NodeId, ...]
    """All members at bootstrap, this node among them; what the log says counts after that. None for a node that joins a
    cluster: it waits until a leader makes it a member."""
    election_timeout_min_ns: int = 150 * MS
    election_timeout_max_ns: int = 300 * MS
    """Timeouts are drawn anew, uniformly and inclusively, each time the timer is set (Raft §5.2, §9.3)."""
    heartbeat_interval_ns: int = 50 * MS
    max_entries_per_message: int = 100
    snapshot_chunk_size: int = 64 * 1024
    """Bytes."""
    max_bytes_per_message: int = MIB
    """Payload of one append; an entry that is larger travels alone."""
    max_inflight_msgs: int = 64
    """Appends sent to one follower and not yet acknowledged. etcd: 256 to 512, over slower links."""
    max_inflight_bytes: int = 16 * MIB
    """Payload sent to one follower and not yet acknowledged; one append may always be under way."""
    max_uncommitted_bytes: int = 64 * MIB
    """Beyond it a leader takes no more proposals, except when nothing is outstanding."""
    snapshot_threshold: int = 10_000
    """Entries applied since the last snapshot after which the node takes one."""
    trailing_logs: int = 5_000
    """Entries kept below a snapshot, for followers that are a little behind."""
    wal_segment_bytes: int = 16 * MIB
    """Size of a file of the write-ahead log."""
    pre_vote: bool = True
    """Ask whether an election can be won before raising the term (thesis §9.6)."""
    check_quorum: bool = True
    """A leader that does not hear a quorum for an election timeout steps down (thesis §6.2)."""
    stickiness: bool = True
    """Ignore vote requests while a leader is alive (thesis §4.2.3)."""
    lease_reads: bool = False
    """A leader answers reads without asking, while it knows that nobody else can lead (thesis §6.4.1). Trusts clocks;
    must be set alike on all nodes, with the same `election_timeout_min_ns`."""
    max_clock_drift_ppm: int = 10_000
    """By how many millionths the clocks of two nodes may differ in rate; only `lease_reads` counts on it."""
    noop_on_election: bool = True
    """A new leader appends an empty entry, so that earlier terms' entries can commit (Raft §8)."""
    detailed_trace: bool = True
    """Report every message and every entry, too; off, only changes of role, votes, commitment, durability."""

    @classmethod
    def paper(cls, node_id: NodeId, cluster_members: tuple[NodeId, ...]) -> RaftNodeConfig:
        """Plain paper Raft: no pre-vote, no check-quorum, no stickiness, no no-op. Defences mask bugs."""
        return cls(
            node_id, cluster_members, pre_vote=False, check_quorum=False, stickiness=False, noop_on_election=False
        )

    def __post_init__(self) -> None:
        self._check_members()
        self._check_positive()
        self._check_timeouts()
        self._check_leases()

    def _check_members(self) -> None:
        for member in (self.node_id, *self.cluster_members):
            if not member or len(member) > ID_LENGTH_MAX or not member.isprintable() or " " in member:
                raise ConfigError(
                    f"{member!r} is not a node id",
                    why=f"ids are 1 to {ID_LENGTH_MAX} printable characters without spaces",
                    fix="rename the member",
                )
        if len(set(self.cluster_members)) != len(self.cluster_members):
            raise ConfigError(
                f"cluster_members names a node twice: {', '.join(self.cluster_members)}",
                why="a quorum counts nodes, not names",
                fix="name each member once",
            )
        if self.cluster_members and self.node_id not in self.cluster_members:
            raise ConfigError(
                f"node_id {self.node_id!r} is not among cluster_members",
                why="cluster_members lists all members, this node included",
                fix=f"add {self.node_id!r} to cluster_members, or leave it empty for a node that joins a cluster",
            )

    def _check_positive(self) -> None:
        for name in (
            "election_timeout_min_ns",
            "election_timeout_max_ns",
            "heartbeat_interval_ns",
            "max_entries_per_message",
            "snapshot_chunk_size",
            "max_bytes_per_message",
            "max_inflight_msgs",
            "max_inflight_bytes",
            "max_uncommitted_bytes",
            "snapshot_threshold",
            "wal_segment_bytes",
        ):
            value: int = getattr(self, name)
            if value <= 0:
                raise ConfigError(f"{name} is {value}", why="it must be positive", fix=f"leave {name} at its default")

        if self.trailing_logs < 0:
            raise ConfigError(
                f"trailing_logs is {self.trailing_logs}", why="a log cannot keep fewer than no entries", fix="use 0"
            )

    def _check_timeouts(self) -> None:
        if self.election_timeout_min_ns > self.election_timeout_max_ns:
            raise ConfigError(
                f"election_timeout_min_ns {self.election_timeout_min_ns} exceeds "
                f"election_timeout_max_ns {self.election_timeout_max_ns}",
                why="timeouts are drawn between the two",
                fix="swap them",
            )
        if 2 * self.heartbeat_interval_ns > self.election_timeout_min_ns:
            raise ConfigError(
                f"heartbeat_interval_ns {self.heartbeat_interval_ns} is more than half of "
                f"election_timeout_min_ns {self.election_timeout_min_ns}",
                why="one lost heartbeat would start an election",
                fix="shorten the heartbeat or lengthen the timeout",
            )

    def _check_leases(self) -> None:
        if not 0 <= self.max_clock_drift_ppm < 1_000_000:
            raise ConfigError(
                f"max_clock_drift_ppm is {self.max_clock_drift_ppm}",
                why="it is a share of a million",
                fix="leave it at its default of one per cent",
            )
        if self.lease_reads and not self.stickiness:
            raise ConfigError(
                "lease_reads is on and stickiness off",
                why="a lease is the promise of voters to ignore others for a while",
                fix="turn stickiness on, or leases off",
            )
