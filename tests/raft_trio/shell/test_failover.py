"""The leader is killed, again and again: writes work again within a second, and nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from raft_trio import kv
from raft_trio.client import open_client
from tests.raft_trio.shell.leading import caught_up, leader_of, seconds_until_written, status_of
from tests.raft_trio.shell.processes import processes


async def kill_leaders(folder: Path, times: int) -> list[float]:
    took = []
    with processes(folder) as cluster:
        async with open_client(cluster.members) as client:
            await client.put("failover", 0)
            for value in range(1, times + 1):
                leader = await leader_of(cluster)
                cluster.kill(leader)
                took.append(await seconds_until_written(client, value))
                assert await client.get("failover") == kv.Found(value)
                cluster.start(leader)
                status = await status_of(cluster, await leader_of(cluster))
                assert status is not None
                await caught_up(cluster, leader, status.commit_index)
    return took


async def test_writes_work_again_within_a_second_of_the_death_of_the_leader(tmp_path: Path) -> None:
    """Issue #5, acceptance; a short version. The bound is generous: the machine may be busy with other tests."""
    with trio.fail_after(60):
        took = await kill_leaders(tmp_path, 2)
    assert max(took) < 3.0, took


@pytest.mark.soak
async def test_writes_work_again_within_a_second_of_each_of_fifty_deaths(tmp_path: Path) -> None:
    """Issue #5, acceptance."""
    with trio.fail_after(600):
        took = await kill_leaders(tmp_path, 50)
    print(f"seconds without a leader: median {sorted(took)[25]:.3f}, most {max(took):.3f}")
    assert max(took) < 1.0, took
