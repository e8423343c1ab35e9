"""What mechanisms do with processes of nodes: start those that ended for a fault, see that they answer. No faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path

import trio

from histrio.environments.cluster import Cluster, Spoke

__all__ = ["answered", "process_state", "revive", "until"]

_POLL_S = 0.003
_ENDING_S = 1.0
"""A node whose disk refused it something ends within this, or means to go on."""


async def until(true: Callable[[], bool], limit_s: float) -> bool:
    """Whether it has become true within the limit; looked at every few milliseconds, for nothing tells."""
    for _ in range(math.ceil(limit_s / _POLL_S)):
        if true():
            return True
        await trio.sleep(_POLL_S)
    return true()


async def revive(
    cluster: Cluster, nodes: Collection[str], startable: Collection[str], refused: Collection[str]
) -> None:
    """Start those of `nodes` that ended and may run. refused: those that have a reason to end, and get time to."""
    await until(lambda: all(cluster.pid(node) is None for node in refused), _ENDING_S)
    for node in nodes:
        if node in startable and cluster.pid(node) is None:
            await cluster.start(node)


def answered(cluster: Cluster, spoke: Spoke, nodes: Collection[str], since_ns: int) -> str | None:
    """All of them run and have spoken since; None: not yet."""
    if not all(cluster.pid(node) is not None and spoke(node) > since_ns for node in nodes):
        return None
    return ", ".join(f"{node} answered as incarnation {cluster.incarnation(node)}" for node in nodes)


def process_state(pid: int) -> str:
    """The kernel's letter for it: `R`, `S`, `D` (in the disk), `T` (stopped), `Z`; empty: it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]
