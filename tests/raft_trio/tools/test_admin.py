"""Members, leaders and snapshots of real nodes, changed by the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from raft_trio import kv
from raft_trio.__main__ import main
from raft_trio.client import open_client
from tests.raft_trio.shell.leading import leader_of
from tests.raft_trio.shell.processes import Processes, free_addresses, processes


class Operator:
    """Types commands and reads what they print."""

    def __init__(self, cluster: Processes, capsys: pytest.CaptureFixture[str]) -> None:
        self._cluster, self._capsys = cluster, capsys

    def types(self, *words: str, config: str = "n1") -> tuple[int, str]:
        code = main([*words, "--config", str(self._cluster.folder / f"{config}.toml")])
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err

    def status(self, config: str = "n1") -> dict[str, Any]:
        code, printed = self.types("status", "--json", config=config)
        assert code == 0
        return dict(msgspec.json.decode(printed))


def newcomer(cluster: Processes, node: str) -> str:
    """The settings of a node that nobody has in a file, and its address."""
    (address,) = free_addresses(1)
    members = ", ".join(f'{name} = "{place}"' for name, place in (cluster.members | {node: address}).items())
    lines = f'node_id = "{node}"\ndata_dir = "{node}"\njoins = true\nmembers = {{ {members} }}\n'
    (cluster.folder / f"{node}.toml").write_text(lines)
    return address


async def fill(members: dict[str, str]) -> None:
    async with open_client(members) as client:
        for number in range(30):
            await client.put(f"k{number}", number)


async def value_of(members: dict[str, str], key: str) -> object:
    async with open_client(members) as client:
        return await client.get(key)


def test_a_newcomer_is_added_gets_a_vote_and_the_cluster_lives_on_without_an_old_member(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thesis §4: by joint consensus, as a learner first; the address travels in the newcomer's own greeting."""
    with processes(tmp_path, trace=False) as cluster:
        operator = Operator(cluster, capsys)
        trio.run(fill, cluster.members)
        address = newcomer(cluster, "n4")
        cluster.start("n4")
        assert operator.types("member", "add", "n4", "--learner") == (0, "n4 is a learner\n")
        assert operator.types("member", "add", "n4") == (0, "n4 is a member with a vote\n")
        assert operator.types("member", "add", "n4") == (0, "n4 is a member with a vote\n"), "can be repeated"
        assert operator.types("member", "promote", "n9", "--timeout", "2")[0] == 70
        leader = trio.run(leader_of, cluster)
        assert operator.types("transfer", "n4") == (0, "leadership was handed over\n")
        gone = next(node for node in cluster.members if node != leader)
        assert operator.types("member", "remove", gone, config="n4") == (0, f"{gone} is no member\n")
        cluster.kill(gone)
        status = operator.status("n4")
        assert "error" in status[gone]
        assert status["n4"]["role"] == "leader"
        assert sorted(status["n4"]["config"]["voters"]) == sorted({"n1", "n2", "n3", "n4"} - {gone})
        left = {node: place for node, place in (cluster.members | {"n4": address}).items() if node != gone}
        assert trio.run(value_of, left, "k29") == kv.Found(29)
        code, printed = operator.types("snapshot", "n4", config="n4")
        assert code == 0
        assert printed.startswith("n4 has a snapshot up to entry ")
        assert operator.status("n4")["n4"]["snapshot_index"] > 30
        assert operator.types("snapshot", "n9", config="n4")[0] == 64


async def longest_gap(cluster: Processes, leader: str) -> float:
    """Of writes while the leader is told to stop."""
    longest = 0.0
    async with open_client(cluster.members) as client:
        await client.put("k", 0)
        for value in range(60):
            if value == 10:
                cluster.terminate(leader)
            began = trio.current_time()
            await client.put("k", value)
            longest = max(longest, trio.current_time() - began)
        assert await client.get("k") == kv.Found(59)
    return longest


def test_a_leader_that_is_told_to_stop_hands_over_first(tmp_path: Path) -> None:
    """Thesis §3.10. An election timeout is 150 ms at least; the bound leaves room for a busy machine."""
    with processes(tmp_path, trace=False) as cluster:
        leader = trio.run(leader_of, cluster)
        assert trio.run(longest_gap, cluster, leader) < 3.0
        assert cluster.wait(leader) == 0
        assert "ended" not in (tmp_path / f"{leader}.log").read_text()
