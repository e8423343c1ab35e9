"""What a node asks of the world: the record that `raft_trio.node` hands over, and nothing that makes or obeys it."""

from __future__ import annotations

import msgspec

from raft_trio.files import FileBatch
from raft_trio.messages import ClientReply, PeerFrame
from raft_trio.trace import TraceEvent
from raft_trio.types import NodeId

__all__ = ["NodeEffects"]


class NodeEffects(msgspec.Struct, frozen=True, gc=False):
    """What one flush asks of the world: first the trace, then everything else."""

    frames: tuple[tuple[NodeId, PeerFrame], ...] = ()
    """At most one per peer. What waits for the disk comes in a later flush."""
    replies: tuple[tuple[str, ClientReply], ...] = ()
    """(connection, reply)."""
    batches: tuple[FileBatch, ...] = ()
    """To be executed in order, one after the other; `Node.io_done` takes the outcome of each."""
    wake_at_ns: int | None = None
    """Call `Node.wake` then; replaces what was asked before."""
    trace: tuple[TraceEvent, ...] = ()
    """In causal order; to be written before the frames leave."""
    failed: str | None = None
    """The node has ended for this reason; it does and says nothing any more."""
