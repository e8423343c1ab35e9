"""What an option of raft_trio means to a real node, and that every planted bug has one (issue 6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from histrio.systems import raft_trio_node
from histrio.systems.raft_trio import RAFT_TRIO
from histrio.systems.raft_trio_clients import BROKEN_CLIENTS
from histrio.systems.raft_trio_modes import BUGS
from histrio.systems.system import Launch, NodePlace
from raft_trio.build import BUILD, Build
from raft_trio.shell.settings import Settings, load_settings

NODES = ("n1", "n2", "n3", "n4")
ADDRESSES = {node: f"10.0.0.{number}" for number, node in enumerate(NODES, 1)}


def launched(node: str, bug: str | None = None, **options: str) -> Launch:
    system = RAFT_TRIO.deployed(seed=1, nodes=NODES, options=options, bug=bug)
    place = NodePlace(node=node, address=ADDRESSES[node], data="/data", records="/records", python=("python",))
    return system.launch(place, ADDRESSES)


def settings_of(folder: Path, node: str, **options: str) -> Settings:
    (text,) = launched(node, **options).files.values()
    file = folder / "node.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def test_without_options_a_node_is_what_users_get(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "n2")
    usual = Settings(node_id="n2", data_dir=Path("/data"), members={}, cluster=settings.cluster, trace=settings.trace)
    assert tuple(settings.members) == NODES
    assert settings.raft_config().cluster_members == NODES
    for name in Settings.__struct_fields__:
        if name != "members":
            assert getattr(settings, name) == getattr(usual, name), name


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("snapshot_threshold", "snapshot_threshold"),
        ("trailing_logs", "trailing_logs"),
        ("snapshot_chunk_bytes", "snapshot_chunk_size"),
        ("wal_segment_bytes", "wal_segment_bytes"),
    ],
)
def test_numbers_reach_the_core(option: str, field: str, tmp_path: Path) -> None:
    assert getattr(settings_of(tmp_path, "n1", **{option: "321"}).raft_config(), field) == 321


def test_the_paper_profile_and_lease_reads_reach_the_core(tmp_path: Path) -> None:
    config = settings_of(tmp_path, "n1", profile="paper").raft_config()
    assert not any((config.pre_vote, config.check_quorum, config.stickiness, config.noop_on_election))
    assert settings_of(tmp_path, "n1", lease_reads="on").raft_config().lease_reads
    assert not settings_of(tmp_path, "n1", lease_reads="off").raft_config().lease_reads


def test_who_is_no_member_at_first_knows_the_members_and_waits(tmp_path: Path) -> None:
    """As in the simulator: `members=3` of four nodes; the fourth calls the others and is called back."""
    member, newcomer = settings_of(tmp_path, "n1", members="3"), settings_of(tmp_path, "n4", members="3")
    assert member.raft_config().cluster_members == NODES[:3]
    assert not member.joins
    assert newcomer.raft_config().cluster_members == ()
    assert tuple(newcomer.peers()) == NODES[:3]


@pytest.mark.parametrize("bug", BUGS)
def test_every_planted_bug_has_a_node(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bugs of machines and of clients included: the command that a launch names takes them."""
    started: list[Build] = []

    def run(config: Path, *, build: Build) -> int:
        started.append(build)
        return 0

    monkeypatch.setattr(raft_trio_node, "run", run)
    argv = launched("n1", bug).argv
    assert argv[:3] == ("python", "-m", "histrio.systems.raft_trio_node")
    assert raft_trio_node.main(argv[3:]) == 0
    assert started != [BUILD] or bug in BROKEN_CLIENTS, "a client's bug may be in the client alone"
