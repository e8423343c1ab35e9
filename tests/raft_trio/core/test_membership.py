"""Changes of the membership: Raft §6, thesis §4, directed schedules for M1 to M11, and random ones."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.core.configurations import changed, encode_config
from raft_trio.core.quorum import electorates_of
from raft_trio.core.ready import Ready
from raft_trio.errors import RaftError
from raft_trio.messages import AppendEntriesRequest, Refusal
from raft_trio.rules import RULES, Rules
from raft_trio.trace import Configured
from raft_trio.types import Config, EntryType, LogEntry, NodeId, Role
from tests.raft_trio.core.cluster import Cluster, Settings, Violation
from tests.raft_trio.core.shuffle import CHANGING, fair_weather, shuffle


def config(voters: str, learners: str = "", outgoing: str = "") -> Config:
    """`config("123", "4")`: n1, n2, n3 vote, n4 learns."""
    return Config(ids(voters), ids(outgoing), ids(learners))


def ids(numbers: str) -> tuple[NodeId, ...]:
    return tuple(f"n{number}" for number in numbers)


def led(size: int = 5, voters: int = 3, *, rules: Rules = RULES, settings: Settings = RaftNodeConfig) -> Cluster:
    """n1 leads, its no-op is committed, n4 and above wait to be added."""
    cluster = Cluster(size, voters=voters, rules=rules, settings=settings)
    cluster.elect("n1")
    cluster.settle()
    return cluster


# ── what a change aims at ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"add_learners": ["n4"]}, config("123", "4")),
        ({"promote": ["n3"]}, config("123")),
        ({"remove": ["n3"]}, config("12")),
        ({"remove": ["n9"]}, config("123")),
        ({"demote": ["n3"]}, config("12", "3")),
        ({"add_learners": ["n4"], "remove": ["n1"]}, config("23", "4")),
        ({"promote": ["n4"]}, None),
        ({"demote": ["n4"]}, None),
        ({"add_learners": ["n1"]}, None),
        ({"remove": ["n1", "n2", "n3"]}, None),
        ({"remove": ["n1"], "demote": ["n1"]}, None),
    ],
)
def test_a_change_leads_to_a_configuration_or_is_impossible(
    change: dict[str, list[NodeId]], target: Config | None
) -> None:
    assert changed(config("123"), **change) == target


# ── the two steps ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_learner_gets_the_log_and_counts_for_nothing() -> None:
    """Thesis §4.2.1; mutant C9."""
    cluster = led()
    assert cluster.change("n1", config("123", "4")) == 2
    cluster.settle()
    assert cluster.core("n4").last_index == cluster.core("n1").last_index
    assert cluster.core("n4").config == config("123", "4")
    cluster.propose("n1", b"x")
    cluster.settle(only=["n1", "n4"])
    assert cluster.core("n1").commit_index == 2
    cluster.timeout("n4")
    assert cluster.core("n4").role is Role.FOLLOWER, "a learner does not campaign (E22)"


def test_voters_change_through_a_joint_configuration_that_is_left_by_itself() -> None:
    """Raft §6: C_old,new, then C_new when that is committed."""
    cluster = led()
    seen: list[Configured] = []

    def note(node: NodeId, ready: Ready) -> None:
        seen.extend(event for event in ready.trace if node == "n1" and isinstance(event, Configured))

    cluster.change("n1", config("123", "4"))
    cluster.settle()
    cluster.observe = note
    assert cluster.change("n1", config("1234")) == 3
    cluster.settle()
    assert [(event.index, event.voters, event.voters_outgoing) for event in seen] == [
        (3, ids("1234"), ids("123")),
        (4, ids("1234"), ()),
    ]
    cluster.beat("n1")
    assert {cluster.core(node).config for node in ids("1234")} == {config("1234")}


def test_a_configuration_counts_from_its_append_on() -> None:
    """Raft §6: committed or not; mutant M1."""
    cluster = led(3)
    cluster.change("n1", config("12"))
    assert cluster.core("n1").config == config("12", outgoing="123")
    cluster.push("n1", "n2", cluster.pull("n1", "n2", AppendEntriesRequest))
    assert cluster.core("n2").config == config("12", outgoing="123")
    assert cluster.core("n2").commit_index < 2


def test_joint_consensus_needs_a_majority_of_both_sides() -> None:
    """Raft §6; mutant M8."""
    cluster = led(6)
    cluster.change("n1", config("123", "456"))
    cluster.settle()
    cluster.change("n1", config("1456"))
    cluster.settle(only=ids("1456"))
    assert cluster.core("n1").config.voters_outgoing == ids("123"), "no majority of the old voters has it"
    assert cluster.core("n1").commit_index == 2
    cluster.beat("n1")
    cluster.settle()
    assert cluster.core("n1").config == config("1456")


def test_a_truncated_configuration_never_was() -> None:
    """Raft §6 with §5.3: the configuration is that of the log."""
    cluster = led(3)
    cluster.change("n1", config("12"))
    cluster.settle(only=["n1"])
    cluster.elect("n2", only=["n2", "n3"])
    cluster.settle(only=["n2", "n3"])
    for _ in range(3):
        cluster.beat("n2")
    assert cluster.core("n1").config == config("123")


def test_the_configuration_in_force_survives_a_restart() -> None:
    """From the log, where `cluster_members` says something else."""
    cluster = led()
    cluster.change("n1", config("123", "4"))
    cluster.settle()
    cluster.crash("n1")
    cluster.restart("n1")
    assert cluster.core("n1").config == config("123", "4")
    cluster.compact("n2")
    cluster.crash("n2")
    cluster.restart("n2")
    assert cluster.core("n2").config == config("123", "4"), "and from a snapshot"


def test_a_newcomer_learns_the_members_from_a_snapshot() -> None:
    """Raft §7: snapshots contain the latest configuration; S7."""
    cluster = led(5, settings=lambda node, members: RaftNodeConfig(node, members, trailing_logs=0))
    for number in range(6):
        cluster.propose("n1", b"%d" % number)
        cluster.settle()
    cluster.change("n1", config("123", "4"))
    cluster.settle()
    assert cluster.compact("n1")
    cluster.change("n1", config("123", "45"))
    cluster.settle()
    for _ in range(4):
        cluster.beat("n1")
    assert cluster.core("n5").snapshot_index == 8
    assert cluster.core("n5").config == config("123", "45")


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_change_at_a_time() -> None:
    """Thesis §4.1; mutant M3."""
    cluster = led()
    cluster.change("n1", config("123", "4"))
    assert cluster.change("n1", config("123", "5")) is Refusal.CHANGE_IN_PROGRESS
    cluster.settle()
    assert cluster.change("n1", config("123", "45")) == 3


def test_a_joint_configuration_is_the_middle_of_a_change_also_when_it_is_committed() -> None:
    cluster = led(3)
    cluster.core("n1").change_membership(config("12"))
    assert not RULES.change_is_over(2, 2, config("12", outgoing="123"))
    assert RULES.change_is_over(2, 2, config("12"))
    assert not RULES.change_is_over(3, 2, config("12"))


def test_a_leader_that_committed_nothing_yet_changes_nothing() -> None:
    """raft-dev, 10 July 2015; mutant M4."""
    cluster = Cluster(3)
    cluster.timeout("n1")
    for node in ("n2", "n3", "n2", "n3"):
        cluster.sync("n1") if cluster.members["n1"].disk.queue else None
        cluster.push("n1", node, cluster.pull("n1", node))
        while cluster.members[node].disk.queue:
            cluster.sync(node)
        if any(source == node for source, _, _ in cluster.network):
            cluster.push(node, "n1", cluster.pull(node, "n1"))
        if cluster.core("n1").role is Role.LEADER:
            break
    assert cluster.core("n1").role is Role.LEADER
    assert cluster.core("n1").commit_index == 0
    assert cluster.change("n1", config("12")) is Refusal.NOT_READY


def test_a_node_with_an_empty_log_gets_no_vote() -> None:
    """Thesis §4.2.1; mutant M10: the cluster could not commit until it has caught up."""
    cluster = led(settings=lambda node, members: RaftNodeConfig(node, members, max_entries_per_message=2))
    for number in range(6):
        cluster.propose("n1", b"%d" % number)
    cluster.settle()
    assert cluster.change("n1", config("1234")) is Refusal.NOT_CAUGHT_UP
    cluster.change("n1", config("123", "4"))
    cluster.settle(only=ids("123"))
    assert cluster.change("n1", config("1234")) is Refusal.NOT_CAUGHT_UP
    cluster.beat("n1")
    assert isinstance(cluster.change("n1", config("1234")), int)


def test_others_than_the_leader_change_nothing() -> None:
    cluster = led(3)
    assert cluster.change("n2", config("12")) is Refusal.NOT_LEADER


def test_what_is_so_already_needs_no_entry() -> None:
    cluster = led(3)
    before = cluster.core("n1").last_index
    assert cluster.change("n1", config("123")) == 0
    assert cluster.core("n1").last_index == before


# ── who leads through a change ───────────────────────────────────────────────────────────────────────────────────────


def test_a_removed_leader_goes_on_until_the_change_is_committed_and_does_not_count_itself() -> None:
    """Thesis §4.2.2; mutant M6."""
    cluster = led(3)
    cluster.change("n1", config("23"))
    for node in ("n2", "n3"):
        cluster.push("n1", node, cluster.pull("n1", node, AppendEntriesRequest))
        cluster.sync(node)
    cluster.sync("n1")
    for node in ("n2", "n3"):
        cluster.push(node, "n1", cluster.pull(node, "n1"))
    assert cluster.core("n1").config == config("23"), "the joint configuration is committed, the final one appended"
    cluster.settle(only=["n1", "n2"])
    assert cluster.core("n1").commit_index == 2, "n1 and n2 are no majority of n2 and n3"
    assert cluster.core("n1").role is Role.LEADER


def test_a_removed_leader_steps_down_at_the_commit_and_the_others_go_on() -> None:
    cluster = led(3)
    cluster.change("n1", config("23"))
    cluster.settle()
    assert cluster.core("n1").role is Role.FOLLOWER
    assert cluster.core("n1").commit_index == 3
    cluster.timeout("n1")
    assert cluster.core("n1").role is Role.FOLLOWER, "it knows that it is out, and does not campaign"
    cluster.elect("n2")
    cluster.propose("n2", b"without n1")
    cluster.settle()
    assert cluster.core("n3").last_index == cluster.core("n2").last_index


def test_a_new_leader_ends_a_change_that_it_finds_half_done() -> None:
    """Raft §6: the joint configuration is in the log; whoever leads, leaves it."""
    cluster = led(3)
    cluster.change("n1", config("23"))
    cluster.push("n1", "n2", cluster.pull("n1", "n2", AppendEntriesRequest))
    cluster.settle(only=["n2"])
    assert cluster.core("n2").config == config("23", outgoing="123")
    cluster.elect("n2", only=["n2", "n3"])
    for _ in range(3):
        cluster.beat("n2", only=["n2", "n3"])
    assert cluster.core("n2").config == cluster.core("n3").config == config("23")


def left_out_by_an_uncommitted_change(rules: Rules) -> None:
    """M7 (openraft #2091): n2 and n3 have a change that leaves them out, and n1, which asked for it, is gone."""
    cluster = led(3, rules=rules)
    leaving_out = LogEntry(2, 1, EntryType.CONFIGURATION, data=encode_config(config("1")))
    for node in ("n2", "n3"):
        cluster.push("n1", node, AppendEntriesRequest(1, "n1", 1, 1, (leaving_out,), 1))
        cluster.settle(only=[node])
    cluster.crash("n1")
    assert cluster.core("n2").config == config("1")
    cluster.timeout("n2")
    assert cluster.core("n2").role is not Role.FOLLOWER, "nobody campaigns"


def test_who_is_left_out_by_a_change_that_is_not_committed_may_still_campaign() -> None:
    """Thesis §4.2.2: the change may be undone, and then the cluster needs it."""
    left_out_by_an_uncommitted_change(RULES)
    only_latest = replace(RULES, may_campaign=lambda node, latest, previous, committed: node in latest[0])
    with pytest.raises(AssertionError, match="nobody campaigns"):
        left_out_by_an_uncommitted_change(only_latest)


def test_a_learner_that_does_not_know_of_its_promotion_votes() -> None:
    """raft-rs #57; mutant M11: voters are whom the candidate's configuration says (thesis §4.2.1)."""
    cluster = led(4, settings=RaftNodeConfig.paper)
    cluster.propose("n1", b"x")
    cluster.settle()
    cluster.change("n1", config("123", "4"))
    cluster.settle()
    cluster.change("n1", config("234"))
    cluster.settle(only=ids("123"))
    assert cluster.core("n4").config.learners == ids("4")
    cluster.crash("n1")
    cluster.campaign("n2", only=["n2", "n4", "n3"])
    assert cluster.core("n2").role is Role.LEADER
    assert cluster.core("n4").voted_for == "n2"


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────────────────────────


def ongaro_2015(rules: Rules) -> None:
    """M4: two single-server changes by two leaders that had committed nothing in their terms (raft-dev, 2015)."""
    cluster = Cluster(5, voters=4, settings=RaftNodeConfig.paper, rules=rules)
    cluster.elect("n1", only=ids("1234"))
    cluster.propose("n1", b"x")
    cluster.settle(only=ids("1234"))
    cluster.change("n1", config("1234", "5"))
    cluster.settle()
    cluster.beat("n1")
    if isinstance(cluster.change("n1", config("12345")), Refusal):
        return
    cluster.settle(only=ids("15"))
    cluster.elect("n2", only=ids("234"))
    if isinstance(cluster.change("n2", config("234")), Refusal):
        return
    cluster.settle(only=ids("23"))
    cluster.crash("n1")
    cluster.restart("n1")
    cluster.campaign("n1", only=ids("145"))
    cluster.campaign("n1", only=ids("145"))


def test_the_schedule_of_raft_dev_2015_needs_both_mistakes() -> None:
    """Single-server changes are safe with the rule, joint ones even without it."""
    single = replace(RULES, first_step=lambda config, target: target, has_caught_up=lambda match, last, lag: True)
    hasty = replace(RULES, may_change_membership=lambda commit_term, term: True, has_caught_up=single.has_caught_up)
    ongaro_2015(RULES)
    ongaro_2015(single)
    ongaro_2015(hasty)
    with pytest.raises(Violation):
        ongaro_2015(replace(single, may_change_membership=hasty.may_change_membership))


def change_within_a_change(rules: Rules) -> None:
    """M3: the second change forgets the old voters of the first."""
    cluster = led(5, voters=5, rules=rules)
    cluster.change("n1", config("12"))
    cluster.change("n1", config("1"))
    cluster.settle(only=ids("12"))
    cluster.elect("n3", only=ids("345"))


def test_a_change_within_a_change_would_leave_disjoint_quorums() -> None:
    """Thesis §4.1."""
    change_within_a_change(RULES)
    with pytest.raises(Violation):
        change_within_a_change(replace(RULES, change_is_over=lambda index, commit, config: True))


def trial(seed: int, settings: Settings, rules: Rules) -> Cluster:
    cluster = Cluster(3 + seed % 3, voters=3, settings=settings, rules=rules, seed=seed)
    shuffle(cluster, Random(f"{seed}/membership"), steps=1200, actions=CHANGING)
    fair_weather(cluster, rounds=60)
    return cluster


def small(node: NodeId, members: tuple[NodeId, ...]) -> RaftNodeConfig:
    return RaftNodeConfig(node, members, trailing_logs=3, snapshot_chunk_size=100)


@pytest.mark.parametrize("settings", [small, RaftNodeConfig.paper], ids=["all-defences", "paper"])
def test_random_schedules_with_changes_keep_the_invariants_and_recover(settings: Settings) -> None:
    """Raft Figure 3 under joint consensus, learners, transfers and snapshots; every commit on majorities in force."""
    configurations: set[tuple[NodeId, ...]] = set()
    finished = 0
    for seed in range(36):
        cluster = trial(seed, settings, RULES)
        leader = cluster.leader()
        assert leader is not None
        index, in_force = cluster.core(leader).config_at(cluster.core(leader).last_index)
        configurations.add(in_force.voters)
        finished += index > 0
    assert finished >= 24, "hardly any change came about"
    assert len(configurations) >= 6


def one_side(config: Config) -> tuple[tuple[NodeId, ...], ...]:
    return (config.voters,)


def learners_too(config: Config) -> tuple[tuple[NodeId, ...], ...]:
    return electorates_of(replace_voters(config))


def replace_voters(config: Config) -> Config:
    return Config(tuple(sorted({*config.voters, *config.learners})), config.voters_outgoing, config.learners)


PLANTED = {
    "M2 changes several voters at once without a joint configuration": replace(
        RULES, first_step=lambda config, target: target, has_caught_up=lambda match, last, lag: True
    ),
    "M8 decides by one side of a joint configuration": replace(RULES, electorates=one_side),
    "C9 counts learners": replace(RULES, electorates=learners_too),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_noticed_in_random_schedules(name: str) -> None:
    for seed in range(120):
        try:
            trial(seed, (RaftNodeConfig.paper, small)[seed % 2], PLANTED[name])
        except (AssertionError, RaftError):
            return
    pytest.fail(f"120 seeds did not notice: {name}")


def test_a_configuration_entry_travels_and_is_applied_like_any_other() -> None:
    """It takes its place in the log, and the state machine's index counts it."""
    cluster = led(3)
    applied: list[EntryType] = []
    cluster.observe = lambda node, ready: applied.extend(e.type for e in ready.committed) if node == "n1" else None
    cluster.change("n1", config("12"))
    cluster.settle()
    assert applied == [EntryType.CONFIGURATION, EntryType.CONFIGURATION]
