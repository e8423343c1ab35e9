"""Who waits for what: the records that `raft_trio.service` keeps of requests without an answer yet. Records only."""

from __future__ import annotations

import msgspec

from raft_trio.messages import Query
from raft_trio.types import NodeId, Term

__all__ = ["Asker", "Forwarded", "Proposed", "WaitingRead"]


class Asker(msgspec.Struct, frozen=True, gc=False):
    """Who waits for an answer: a client of this node, or the node that forwarded a client's request."""

    operation: str
    connection: str | None
    node: NodeId = ""
    context: int = 0


class Proposed(msgspec.Struct, frozen=True, gc=False):
    """A request that this node appended as leader of `term`."""

    term: Term
    asker: Asker


class Forwarded(msgspec.Struct, frozen=True, gc=False):
    """A client's request that the leader was asked to carry out."""

    connection: str
    operation: str
    deadline_ns: int


class WaitingRead(msgspec.Struct, frozen=True, gc=False):
    """A client's query that waits for its read index, or for that index to be applied."""

    connection: str
    query: Query
