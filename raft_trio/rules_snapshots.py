"""Decisions about snapshots (Raft §7, Figure 13), as `raft_trio.rules` gathers them: pure, small, one page.

Codes in the docstrings name the classic mistakes of which the rule is the opposite.
"""

from __future__ import annotations

from raft_trio.core.log import RaftLog
from raft_trio.types import Config, LogIndex, Term

__all__ = [
    "chunk_fits",
    "compact_up_to",
    "config_after_install",
    "keep_suffix_after_install",
    "snapshot_is_newer",
    "snapshot_is_whole",
]


def snapshot_is_newer(index: LogIndex, commit: LogIndex) -> bool:
    """Whether a leader's snapshot tells us anything; else it is late, and we have all it covers (S5)."""
    return index > commit


def keep_suffix_after_install(log: RaftLog, index: LogIndex, term: Term) -> bool:
    """Whether our log has the snapshot's last entry, and so everything it covers, and keeps what follows.

    Raft Figure 13, 6; S4: never, so that entries are lost which we acknowledged. S3: also what conflicts is kept.
    """
    return log.term_at(index) == term


def chunk_fits(received: int, offset: int) -> bool:
    """Whether a chunk that begins at `offset` comes next, `received` bytes being here (Figure 13, 3; S10: always)."""
    return offset == received


def snapshot_is_whole(actual_digest: int, announced_digest: int) -> bool:
    """Whether the chunks together are what was announced (RedisLabs/raft #162; S10: not looked at)."""
    return actual_digest == announced_digest


def config_after_install(snapshot: Config, own: Config) -> Config:
    """The configuration in force behind an installed snapshot: the snapshot's (Figure 13, 8; S7: our own stays)."""
    return snapshot


def compact_up_to(snapshot_index: LogIndex, trailing: int) -> LogIndex:
    """Up to where the log may be forgotten, a snapshot up to `snapshot_index` being durable (Raft §7)."""
    return snapshot_index - trailing
