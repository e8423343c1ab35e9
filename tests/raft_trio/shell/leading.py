"""Who leads a cluster of processes, and until when writes work again: bounded polling of real nodes."""

from __future__ import annotations

from pathlib import Path

import trio

from raft_trio.client import RaftClient, ask_status
from raft_trio.errors import RaftError
from raft_trio.messages import StatusReport
from tests.raft_trio.shell.processes import Processes

__all__ = ["caught_up", "leader_of", "seconds_until_written", "status_of", "resident_bytes"]


async def status_of(cluster: Processes, node: str) -> StatusReport | None:
    try:
        return await ask_status(node, cluster.members[node], timeout_s=0.5)
    except RaftError:
        return None


async def leader_of(cluster: Processes) -> str:
    """The leader that a majority follows."""
    with trio.fail_after(10):
        while True:
            told = [await status_of(cluster, node) for node in cluster.members]
            leaders = [status.leader for status in told if status is not None and status.leader is not None]
            for leader in set(leaders):
                if leaders.count(leader) > len(cluster.members) // 2:
                    return leader
            await trio.sleep(0.02)


async def caught_up(cluster: Processes, node: str, index: int) -> None:
    """Until the node has applied that entry."""
    with trio.fail_after(15):
        while True:
            status = await status_of(cluster, node)
            if status is not None and status.applied_index >= index:
                return
            await trio.sleep(0.02)


async def seconds_until_written(client: RaftClient, value: int) -> float:
    """How long a put took, retries included."""
    began = trio.current_time()
    await client.put("failover", value)
    return trio.current_time() - began


def resident_bytes(pid: int) -> int:
    """Memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel tells no VmRSS")
