"""Configurations in the log: which ones there are, who is in them, how an entry carries one. Pure.

The newest configuration in the log is in force from the moment it is appended, committed or not, and until it is
truncated (Raft §6). What follows from a change of it is `raft_trio.core.membership`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from raft_trio.errors import LogInconsistency
from raft_trio.trace import Configured
from raft_trio.types import Config, EntryType, LogEntry, LogIndex, NodeId, Snapshot

__all__ = [
    "Positioned",
    "changed",
    "config_of",
    "configurations",
    "configured",
    "encode_config",
    "members_of",
    "peers_of",
]

Positioned = tuple[LogIndex, Config]
"""Where a configuration stands in the log; 0: at bootstrap."""

_decoder = msgspec.msgpack.Decoder(Config)


def encode_config(config: Config) -> bytes:
    """Data of a CONFIGURATION entry."""
    return msgspec.msgpack.encode(config)


def config_of(entry: LogEntry) -> Config:
    """What a CONFIGURATION entry says. Raises LogInconsistency for what is none."""
    try:
        return _decoder.decode(entry.data)
    except msgspec.MsgspecError as error:
        raise LogInconsistency(
            f"entry {entry.index} of term {entry.term} is no configuration", why=str(error), fix="report this"
        ) from error


def configurations(
    bootstrap: Sequence[NodeId], snapshot: Snapshot | None, entries: Sequence[LogEntry]
) -> list[Positioned]:
    """All that a log holds, rising, and before them the one it began with.

    `bootstrap`: the members at index 0; none for a node that waits to be added.
    """
    known: list[Positioned] = [(0, Config(voters=tuple(sorted(bootstrap))))]
    if snapshot is not None:
        known = [(snapshot.config_index, snapshot.config)]
    begin = known[0][0]
    for entry in entries:
        if entry.type is EntryType.CONFIGURATION and entry.index > begin:
            known.append((entry.index, config_of(entry)))
    return known


def changed(
    config: Config,
    *,
    add_learners: Sequence[NodeId] = (),
    promote: Sequence[NodeId] = (),
    demote: Sequence[NodeId] = (),
    remove: Sequence[NodeId] = (),
) -> Config | None:
    """The configuration that a change of `config` aims at; None: impossible.

    Impossible is: to add who votes already, to promote who is no member, to be left without voters, to do two things
    with one node. What is so already is no error, so that a change can be asked for again.
    """
    named = [*add_learners, *promote, *demote, *remove]
    voters, learners = set(config.voters), set(config.learners)
    if len(named) != len(set(named)) or voters & set(add_learners) or set(promote) - voters - learners:
        return None
    if set(demote) - voters - learners:
        return None
    voters = (voters | set(promote)) - set(demote) - set(remove)
    learners = (learners | set(add_learners) | set(demote)) - set(promote) - set(remove)
    return Config(voters=tuple(sorted(voters)), learners=tuple(sorted(learners))) if voters else None


def configured(index: LogIndex, config: Config) -> Configured:
    """The trace event."""
    return Configured(index, config.voters, config.learners, config.voters_outgoing)


def members_of(config: Config) -> tuple[NodeId, ...]:
    """Everybody who takes part in any way, sorted."""
    return tuple(sorted({*config.voters, *config.voters_outgoing, *config.learners}))


def peers_of(config: Config, node: NodeId) -> tuple[NodeId, ...]:
    """Everybody but `node`, sorted."""
    return tuple(member for member in members_of(config) if member != node)
