"""A node with a long log starts quickly, and everything that was acknowledged is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from benchmarks.raft_load import Load, measure
from raft_trio.client import open_client
from tests.raft_trio.shell.leading import caught_up, leader_of, status_of
from tests.raft_trio.shell.processes import Processes, processes


async def fill(cluster: Processes, operations: int) -> int:
    """Puts, and the commit index behind them."""
    await leader_of(cluster)
    load = Load(members=cluster.members, operation="put", connections=4, depth=64, seconds=300, limit=operations)
    measured = await trio.to_thread.run_sync(measure, load)
    assert measured.errors == 0
    status = await status_of(cluster, await leader_of(cluster))
    assert status is not None
    assert status.commit_index > operations
    return status.commit_index


async def restart(cluster: Processes, commit: int) -> float:
    """Seconds until a follower that was killed has applied everything again."""
    leader = await leader_of(cluster)
    node = next(node for node in cluster.members if node != leader)
    cluster.kill(node)
    began = trio.current_time()
    cluster.start(node)
    await caught_up(cluster, node, commit)
    return trio.current_time() - began


async def test_a_long_log_survives_the_death_of_one_node_and_of_all(tmp_path: Path) -> None:
    """Issue #5, acceptance; a short version. The bound is generous: the machine may be busy with other tests."""
    with trio.fail_after(90), processes(tmp_path) as cluster:
        commit = await fill(cluster, 3_000)
        assert await restart(cluster, commit) < 10.0
        cluster.kill()
        cluster.start()
        async with open_client(cluster.members) as client:
            await client.put("after", 1)
        for node in cluster.members:
            await caught_up(cluster, node, commit)


@pytest.mark.soak
async def test_a_hundred_thousand_entries_are_back_within_a_second(tmp_path: Path) -> None:
    """Issue #5, acceptance. The trace of a log of this length would be a load of its own."""
    with trio.fail_after(300), processes(tmp_path, trace=False) as cluster:
        commit = await fill(cluster, 100_000)
        took = [await restart(cluster, commit) for _ in range(5)]
    print(f"seconds to restart with {commit} entries: {', '.join(f'{seconds:.2f}' for seconds in took)}")
    assert min(took) < 1.0, took
