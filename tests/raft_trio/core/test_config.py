"""Settings: the seed's names and defaults, and errors that say what, why and how to fix (seed fault 24)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.errors import ConfigError

GOOD = RaftNodeConfig("n1", ("n1", "n2", "n3"))


def test_the_defaults_are_those_of_the_seed_crate() -> None:
    """raft.md §1.1, `RaftNodeConfig`."""
    assert [field.name for field in fields(GOOD)][:7] == [
        "node_id",
        "cluster_members",
        "election_timeout_min_ns",
        "election_timeout_max_ns",
        "heartbeat_interval_ns",
        "max_entries_per_message",
        "snapshot_chunk_size",
    ]
    assert GOOD.election_timeout_min_ns == 150_000_000
    assert GOOD.election_timeout_max_ns == 300_000_000
    assert GOOD.heartbeat_interval_ns == 50_000_000
    assert GOOD.max_entries_per_message == 100
    assert GOOD.snapshot_chunk_size == 65_536


def test_the_defences_are_on_by_default_and_off_in_plain_paper_raft() -> None:
    """architecture.md §6: plain paper Raft is a profile."""
    paper = RaftNodeConfig.paper("n1", ("n1",))
    for name in ("pre_vote", "check_quorum", "stickiness", "noop_on_election"):
        assert getattr(GOOD, name) is True
        assert getattr(paper, name) is False


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"node_id": "n9"}, "n9"),
        ({"cluster_members": ("n1", "n2", "n2")}, "twice"),
        ({"cluster_members": ("n1", "")}, "not a node id"),
        ({"cluster_members": ("n1", "n 2")}, "not a node id"),
        ({"cluster_members": ("n2",)}, "not among"),
        ({"election_timeout_min_ns": 400_000_000}, "exceeds"),
        ({"heartbeat_interval_ns": 0}, "heartbeat_interval_ns is 0"),
        ({"heartbeat_interval_ns": 80_000_000}, "half"),
        ({"max_entries_per_message": 0}, "max_entries_per_message"),
        ({"max_inflight_msgs": -1}, "max_inflight_msgs"),
    ],
)
def test_an_impossible_setting_is_refused_with_what_why_and_fix(change: dict[str, Any], what: str) -> None:
    """Seed fault 24: min > max panicked, a heartbeat of 0 panicked, later."""
    with pytest.raises(ConfigError, match=what) as caught:
        replace(GOOD, **change)
    assert caught.value.why
    assert caught.value.fix
