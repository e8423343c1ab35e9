"""A bare core of three, and what to say to it: shared by the paper tests."""

from __future__ import annotations

from random import Random

from raft_trio.config import RaftNodeConfig
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Recovered
from raft_trio.messages import (
    AppendEntriesRequest,
    Message,
)
from raft_trio.rules import RULES
from raft_trio.types import EntryType, HardState, LogEntry, NodeId

IDS = ("n1", "n2", "n3")


def entries(*terms: int, first: int = 1) -> tuple[LogEntry, ...]:
    return tuple(LogEntry(first + i, term, EntryType.COMMAND) for i, term in enumerate(terms))


def core_with(
    *terms: int,
    term: int = 0,
    voted_for: NodeId | None = None,
    commit: int = 0,
    config: RaftNodeConfig | None = None,
) -> RaftCore:
    """Node n1 of three, started from a log with these terms; its first hand-over is taken."""
    recovered = Recovered(HardState(max(term, *terms, 0), voted_for, commit), entries(*terms))
    config = config or RaftNodeConfig.paper("n1", IDS)
    core = RaftCore("n1", config, recovered, rules=RULES, random=Random("paper"), now_ns=0)
    core.take_ready(0)
    return core


def answer(core: RaftCore, source: NodeId, message: Message, *, now_ns: int = 0) -> Message | None:
    """Step one message and return what goes back to its sender, whenever it may leave."""
    core.step(now_ns, source, message)
    ready = core.take_ready(now_ns)
    replies = [reply for to, reply in ready.messages + ready.messages_after_sync if to == source]
    return replies[-1] if replies else None


def append(
    term: int, prev: int, prev_term: int, *terms: int, commit: int = 0, leader: NodeId = "n2"
) -> AppendEntriesRequest:
    return AppendEntriesRequest(term, leader, prev, prev_term, entries(*terms, first=prev + 1), commit)


def terms_of(core: RaftCore) -> list[int | None]:
    return [core.term_at(index) for index in range(1, core.last_index + 1)]
