"""What a node is made of. Anything a tester may want to exchange is a field here, so that nothing needs patching.

`BUILD` is the correct node. A deliberately broken one is `dataclasses.replace(BUILD, ...)`, made outside this package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raft_trio.core.ready import Ready
from raft_trio.files import FileBatch, FileExecutor
from raft_trio.kv import KeyValueMachine
from raft_trio.machine import StateMachine
from raft_trio.rules import RULES, Rules
from raft_trio.sessions import is_new
from raft_trio.storage.records import CODEC, RecordCodec
from raft_trio.types import Config, LogIndex, Term

__all__ = ["BUILD", "NODE_RULES", "Build", "NodeRules"]


def no_result_at_append(machine: StateMachine, command: bytes) -> bytes | None:
    """Nothing: a client hears of its command when it has been committed and applied (Raft §5.3)."""
    return None


def applied_up_to(applied: LogIndex, read_index: LogIndex) -> bool:
    """A read at `read_index` may be answered once everything up to it has been applied (thesis §6.4)."""
    return applied >= read_index


def goes_on_after_write_error(error: OSError) -> bool:
    """A node never goes on: after a failed write or sync nobody knows what the disk has (P9: as if it had worked)."""
    return False


def due_for_snapshot(applied: LogIndex, snapshot: LogIndex, threshold: int) -> LogIndex | None:
    """Index to take a snapshot at; None: not yet. What is applied is committed, and in the state (S2: beyond it)."""
    return applied if applied - snapshot >= threshold else None


def term_of_snapshot(entry_term: Term, current_term: Term) -> Term:
    """The term that stands beside a snapshot's index: its last entry's (Raft §7; S1: the current one)."""
    return entry_term


def sessions_in_snapshot(sessions: bytes) -> bytes:
    """What of the sessions goes into a snapshot: all, or a retried command takes effect twice (thesis §6.3; S8)."""
    return sessions


def config_in_snapshot(config: Config) -> Config:
    """The membership that goes into a snapshot (Raft §7; S7: none)."""
    return config


@dataclass(frozen=True, slots=True)
class NodeRules:
    """The decisions of the layer around the core, as pure functions."""

    result_at_append: Callable[[StateMachine, bytes], bytes | None]
    """(machine, command) -> the result to acknowledge as soon as the leader has appended the command; None: wait."""
    may_read: Callable[[LogIndex, LogIndex], bool]
    """(applied index, read index) -> whether the state is recent enough."""
    is_new_command: Callable[[int, int], bool]
    """(last sequence of the session, sequence) -> whether to give the command to the state machine."""
    goes_on_after_write_error: Callable[[OSError], bool]
    """What a batch of file operations failed with -> whether to take it for done."""
    due_for_snapshot: Callable[[LogIndex, LogIndex, int], LogIndex | None]
    """(applied index, index of the newest snapshot, threshold) -> index to take one at, or None."""
    term_of_snapshot: Callable[[Term, Term], Term]
    """(term of the last applied entry, current term) -> term of the snapshot."""
    sessions_in_snapshot: Callable[[bytes], bytes]
    config_in_snapshot: Callable[[Config], Config]


NODE_RULES = NodeRules(
    result_at_append=no_result_at_append,
    may_read=applied_up_to,
    is_new_command=is_new,
    goes_on_after_write_error=goes_on_after_write_error,
    due_for_snapshot=due_for_snapshot,
    term_of_snapshot=term_of_snapshot,
    sessions_in_snapshot=sessions_in_snapshot,
    config_in_snapshot=config_in_snapshot,
)


def unchanged_ready(ready: Ready) -> Ready:
    """What the core asked for."""
    return ready


def unchanged_batch(batch: FileBatch) -> FileBatch:
    """What the log asked for."""
    return batch


def unchanged_disk(execute: FileExecutor) -> FileExecutor:
    """The disk itself."""
    return execute


@dataclass(frozen=True, slots=True)
class Build:
    """Everything a node is made of beside its settings."""

    rules: Rules
    """Decisions of the core."""
    node_rules: NodeRules
    ready_filter: Callable[[Ready], Ready]
    """Sees everything the core asks for before the node acts on it."""
    files: Callable[[FileBatch], FileBatch]
    """Sees every batch of file operations before it is executed. Recovery at start passes through `disk`."""
    disk: Callable[[FileExecutor], FileExecutor]
    """Through what recovery at start reads and writes files."""
    codec: RecordCodec
    """The log's records as bytes."""
    machine: Callable[[], StateMachine]


BUILD = Build(
    rules=RULES,
    node_rules=NODE_RULES,
    ready_filter=unchanged_ready,
    files=unchanged_batch,
    disk=unchanged_disk,
    codec=CODEC,
    machine=KeyValueMachine,
)
