"""Real processes, sockets and disks: the shell carries out what the node decides."""

from __future__ import annotations

from pathlib import Path

import msgspec
import trio

from raft_trio import kv
from raft_trio.client import open_client
from raft_trio.shell.trace import TraceRecord
from raft_trio.trace import Became, Restored
from tests.raft_trio.shell.leading import caught_up
from tests.raft_trio.shell.processes import Processes, processes


async def test_three_processes_keep_a_put_through_a_kill_of_all_of_them(tmp_path: Path) -> None:
    """Issue #2, point 4: elect, put, get; kill -9 of all three, restart, and the put is still there."""
    with trio.fail_after(40), processes(tmp_path) as cluster:
        async with open_client(cluster.members) as client:
            await client.put("k", {"v": 1})
            assert await client.get("k") == kv.Found({"v": 1})
            assert await client.cas("k", {"v": 1}, 2) == kv.Stored()
            assert await client.cas("k", {"v": 1}, 3) == kv.Mismatch(2)
            assert await client.append("l", "a") == kv.Appended(1)
        await all_caught_up(cluster)
        cluster.kill()
        cluster.start()
        async with open_client(cluster.members) as client:
            assert await client.get("k") == kv.Found(2)
            assert await client.get("l") == kv.Found(["a"])
            assert await client.delete("k") == kv.Deleted(existed=True)
            assert await client.get("k") == kv.Missing()
        await all_caught_up(cluster)
        assert cluster.stop() == [0, 0, 0]
        check_traces(tmp_path)


async def all_caught_up(cluster: Processes) -> None:
    """Two are enough for everything above; the third may not even have begun."""
    for node in cluster.members:
        await caught_up(cluster, node, 1)


def check_traces(folder: Path) -> None:
    """Two incarnations each, numbered without gaps, each beginning with what the disk gave back."""
    leaders: dict[int, set[str]] = {}
    for node in ("n1", "n2", "n3"):
        lines = (folder / f"{node}.jsonl").read_bytes().splitlines()
        records = [msgspec.json.decode(line, type=TraceRecord) for line in lines]
        for incarnation in (1, 2):
            mine = [record for record in records if record.incarnation == incarnation]
            assert [record.seq for record in mine] == list(range(len(mine)))
            assert isinstance(mine[0].event, Restored)
        for record in records:
            if isinstance(record.event, Became) and record.event.role == "leader":
                leaders.setdefault(record.event.term, set()).add(node)
    assert leaders
    assert all(len(nodes) == 1 for nodes in leaders.values())
