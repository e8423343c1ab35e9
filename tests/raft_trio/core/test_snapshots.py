"""Snapshots: the rules of Raft Figure 13, transfers that lose, repeat and reorder chunks, the mistakes S3 to S10."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from zlib import crc32

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Recovered
from raft_trio.errors import RaftError
from raft_trio.messages import (
    AppendEntriesRequest,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
)
from raft_trio.rules import RULES, Rules
from raft_trio.types import Config, HardState, NodeId, Snapshot
from tests.raft_trio.core.bare import IDS, answer, append, core_with, entries, terms_of
from tests.raft_trio.core.cluster import Cluster, Settings, Violation
from tests.raft_trio.core.shuffle import COMPACTING, fair_weather, shuffle

CONFIG = Config(IDS)
STATE = b"the state after five entries"


def small(node: NodeId, ids: tuple[NodeId, ...]) -> RaftNodeConfig:
    return RaftNodeConfig(node, ids, trailing_logs=2, snapshot_chunk_size=40)


def none_trailing(node: NodeId, ids: tuple[NodeId, ...]) -> RaftNodeConfig:
    return replace(small(node, ids), trailing_logs=0)


def paper(node: NodeId, ids: tuple[NodeId, ...]) -> RaftNodeConfig:
    return replace(RaftNodeConfig.paper(node, ids), trailing_logs=0, snapshot_chunk_size=400)


def chunk(
    *, index: int = 5, index_term: int = 2, state: bytes = STATE, offset: int = 0, size: int = 100, term: int = 2
) -> InstallSnapshotRequest:
    data = state[offset : offset + size]
    return InstallSnapshotRequest(
        term, "n2", index, index_term, CONFIG, 0, crc32(state), len(state), offset, data, crc32(data)
    )


def reply(core: RaftCore, request: InstallSnapshotRequest) -> InstallSnapshotResponse:
    response = answer(core, request.leader, request)
    assert isinstance(response, InstallSnapshotResponse)
    return response


# ── Figure 13, receiver ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_snapshot_of_an_older_term_is_refused_with_ours() -> None:
    """Figure 13, 1."""
    core = core_with(1, 2, 3, term=3)
    assert reply(core, chunk(term=2)) == InstallSnapshotResponse(3, 5, crc32(STATE), 0, 0)
    assert core.snapshot_index == 0


def test_chunks_in_order_become_the_whole_and_replace_a_log_that_is_too_short() -> None:
    """Figure 13, 2 to 5, 7, 8: state, log and configuration at once, and nothing before the last chunk."""
    core = core_with(1, 1)
    for offset in range(0, len(STATE), 10):
        core.step(0, "n2", chunk(offset=offset, size=10))
        ready = core.take_ready(0)
        done = offset + 10 >= len(STATE)
        assert (ready.snapshot is not None) == done
        (sent,) = ready.messages_after_sync
        answered = sent[1]
        assert isinstance(answered, InstallSnapshotResponse)
        assert (answered.next_offset, answered.installed) == (min(offset + 10, len(STATE)), done)
    assert ready.persist is not None
    assert ready.persist.snapshot == ready.snapshot == Snapshot(5, 2, CONFIG, 0, crc32(STATE), STATE)
    assert (core.first_index, core.last_index, core.commit_index) == (6, 5, 5)
    assert core.term_at(5) == 2
    assert answer(core, "n2", append(2, 5, 2, 2)) is not None
    assert core.last_index == 6


def test_a_log_that_has_the_last_entry_covered_keeps_what_follows() -> None:
    """Figure 13, 6; mutant S4: entries acknowledged behind it must not go."""
    core = core_with(1, 1, 2, 2, 2, 2, 2)
    assert reply(core, chunk()).installed
    assert terms_of(core) == [1, 1, 2, 2, 2, 2, 2]
    assert core.commit_index == 5


def test_a_log_with_another_entry_there_is_discarded_as_a_whole() -> None:
    """Figure 13, 7; mutant S3: a conflicting suffix kept behind the snapshot."""
    core = core_with(1, 1, 1, 1, 1, 1, 1)
    assert reply(core, chunk()).installed
    assert (core.first_index, core.last_index) == (6, 5)


def test_an_older_snapshot_changes_nothing_and_is_acknowledged() -> None:
    """Mutant S5: the state goes back."""
    core = core_with(1, 1, 2, 2, 2, 2, commit=6)
    assert reply(core, chunk()) == InstallSnapshotResponse(2, 5, crc32(STATE), 0, len(STATE), installed=True)
    assert (core.last_index, core.commit_index, core.snapshot_index) == (6, 6, 0)


def test_repeated_overtaking_and_damaged_chunks_change_nothing() -> None:
    """Mutant S10: chunks appended without looking at their place."""
    core = core_with(1)
    damaged = chunk(offset=10, size=10)
    steps = [
        (chunk(offset=10, size=10), 0),
        (chunk(offset=0, size=10), 10),
        (chunk(offset=0, size=10), 10),
        (chunk(offset=20, size=10), 10),
        (
            InstallSnapshotRequest(
                2, "n2", 5, 2, CONFIG, 0, crc32(STATE), len(STATE), 10, b"0123456789", damaged.checksum
            ),
            10,
        ),
        (chunk(offset=10, size=10), 20),
    ]
    for request, wanted in steps:
        assert reply(core, request).next_offset == wanted
    assert reply(core, chunk(offset=20)).installed


def test_two_snapshots_are_never_mixed() -> None:
    """RedisLabs/raft #162: chunks of a newer snapshot begin anew, late ones of the older are ignored."""
    core = core_with(1)
    newer = b"the state after seven entries, which is longer"
    assert reply(core, chunk(offset=0, size=10)).next_offset == 10
    assert reply(core, chunk(index=7, state=newer, offset=10, size=10)).next_offset == 0
    assert reply(core, chunk(index=7, state=newer, offset=0, size=10)).next_offset == 10
    assert answer(core, "n2", chunk(offset=10, size=10)) is None
    assert reply(core, chunk(index=7, state=newer, offset=10)).installed
    assert core.snapshot_index == 7


def test_a_whole_that_is_not_what_was_announced_is_thrown_away() -> None:
    """Every chunk is whole, and yet they do not add up."""
    core = core_with(1)
    parts = [STATE[:10], b"x" * (len(STATE) - 10)]
    for offset, data in zip((0, 10), parts, strict=True):
        request = InstallSnapshotRequest(2, "n2", 5, 2, CONFIG, 0, crc32(STATE), len(STATE), offset, data, crc32(data))
        response = reply(core, request)
    assert (response.next_offset, response.installed) == (0, False)
    assert reply(core, chunk()).installed


def test_a_transfer_goes_on_where_it_was_under_another_leader() -> None:
    """Equal snapshots of two leaders are one; only the terms differ."""
    core = core_with(1)
    assert reply(core, chunk(offset=0, size=10)).next_offset == 10
    request = chunk(offset=10, term=3)
    other = InstallSnapshotRequest(
        3, "n3", 5, 2, CONFIG, 0, request.digest, request.total, 10, request.data, request.checksum
    )
    response = answer(core, "n3", other)
    assert response == InstallSnapshotResponse(3, 5, crc32(STATE), 10, len(STATE), installed=True)


def test_the_acknowledgement_waits_for_the_disk() -> None:
    """Figure 13 with Figure 2, persistent state: an installed snapshot is promised when it is durable."""
    core = core_with(1)
    core.step(0, "n2", chunk())
    ready = core.take_ready(0)
    assert not ready.messages
    assert [type(message) for _, message in ready.messages_after_sync] == [InstallSnapshotResponse]


def test_a_candidate_follows_the_leader_that_sends_a_snapshot() -> None:
    """Figure 13 through the rules for all servers; seed fault 6."""
    core = core_with(1, term=1)
    core.wake(core.deadline_ns())
    core.take_ready(core.deadline_ns())
    core.step(0, "n2", chunk())
    assert core.leader == "n2"
    assert core.role.value == "follower"


# ── the log behind a snapshot ────────────────────────────────────────────────────────────────────────────────────────


def behind_a_snapshot(*terms: int) -> RaftCore:
    """A core started from a snapshot up to (5, 2) and the entries behind it."""
    snapshot = Snapshot(5, 2, CONFIG, 0, crc32(STATE), STATE)
    recovered = Recovered(HardState(max(2, *terms, 2), None, 0), entries(*terms, first=6), snapshot, 5, 2)
    core = RaftCore("n1", RaftNodeConfig.paper("n1", IDS), recovered, rules=RULES, random=Random(0), now_ns=0)
    core.take_ready(0)
    return core


def test_a_start_from_a_snapshot_is_at_its_index_and_applies_nothing_it_covers() -> None:
    core = behind_a_snapshot(2, 2)
    assert (core.commit_index, core.last_index, core.first_index) == (5, 7, 6)
    core.step(0, "n2", append(2, 7, 2, commit=7))
    assert [entry.index for entry in core.take_ready(0).committed] == [6, 7]


@pytest.mark.parametrize(
    ("prev", "sent", "match"), [(2, (2, 2), 4), (2, (2, 2, 2, 2, 2), 7), (3, (2,), 4), (5, (2,), 6)]
)
def test_entries_that_the_snapshot_covers_are_skipped_and_match(prev: int, sent: tuple[int, ...], match: int) -> None:
    """Mutants L12, L13 (openraft #509, #511): what is compacted is committed, so it matches."""
    core = behind_a_snapshot(2)
    response = answer(core, "n2", append(2, prev, 2, *sent))
    assert response is not None
    assert response.match_index == match  # type: ignore[union-attr]
    assert core.last_index == max(6, match)


def test_a_leader_sends_no_entry_that_it_has_forgotten() -> None:
    """Mutant L14 (seed fault 15): a hole; instead it sends the snapshot, and entries behind it."""
    cluster = lagging()
    assert cluster.core("n1").first_index > 3
    cluster.settle()
    for _ in range(3):
        cluster.beat("n1")
    assert cluster.core("n3").snapshot_index == cluster.core("n1").snapshot_index
    assert cluster.core("n3").last_index == cluster.core("n1").last_index
    assert cluster.core("n3").commit_index == cluster.core("n1").commit_index


def lagging(settings: Settings = none_trailing, rules: Rules = RULES) -> Cluster:
    """n1 leads, n2 follows, n3 has nothing, and n1 has forgotten the beginning."""
    cluster = Cluster(3, settings=settings, rules=rules)
    cluster.elect("n1", only=["n1", "n2"])
    for number in range(8):
        cluster.propose("n1", b"%d" % number)
        cluster.settle(only=["n1", "n2"])
    assert cluster.compact("n1")
    cluster.propose("n1", b"behind")
    cluster.settle(only=["n1", "n2"])
    return cluster


def test_a_lost_chunk_is_sent_again_and_only_to_who_is_heard() -> None:
    """Thesis §5.1; a silent follower gets no chunk in vain."""
    cluster = lagging()
    in_vain = 0
    for _ in range(4):
        cluster.wake("n1")
        in_vain += sum(isinstance(message, InstallSnapshotRequest) for _, _, message in cluster.network)
        cluster.network = [item for item in cluster.network if item[1] != "n3"]
        cluster.settle()
    assert in_vain == 0
    for _ in range(3):
        cluster.beat("n1")
    assert cluster.core("n3").last_index == cluster.core("n1").last_index


def test_answers_that_come_twice_or_late_do_not_multiply_chunks() -> None:
    """One chunk is under way at a time, whatever the network repeats."""
    cluster = lagging()
    for _ in range(2):
        cluster.wake("n1")
    chunks = 0
    for _ in range(200):
        if not cluster.network:
            break
        _, target, message = cluster.network[0]
        chunks += isinstance(message, InstallSnapshotRequest)
        if target == "n1" and isinstance(message, InstallSnapshotResponse):
            cluster.deliver(0, keep=True)
        cluster.deliver(0)
        while cluster.members[target].disk.queue:
            cluster.sync(target)
    total = len(cluster.watcher.state_at(cluster.core("n1").snapshot_index))
    assert chunks <= -(-total // 40) + 1


def test_progress_goes_back_to_appending_behind_the_snapshot() -> None:
    """etcd's Snapshot state ends with the acknowledgement of its index."""
    cluster = lagging()
    for _ in range(3):
        cluster.beat("n1")
    cluster.propose("n1", b"next")
    message = cluster.pull("n1", "n3", AppendEntriesRequest)
    assert isinstance(message, AppendEntriesRequest)
    assert message.prev_index == cluster.core("n1").last_index - 1


def test_a_follower_that_restarts_within_a_transfer_gets_it_from_the_beginning() -> None:
    """What was not whole is gone; the leader is told where to go on."""
    cluster = lagging()
    cluster.wake("n1")
    heartbeat = cluster.pull("n1", "n3", AppendEntriesRequest)
    cluster.push("n1", "n3", heartbeat)
    cluster.sync("n3")
    cluster.now_ns += 200_000_000
    cluster.push("n3", "n1", cluster.pull("n3", "n1"))
    for _ in range(2):
        cluster.push("n1", "n3", cluster.pull("n1", "n3", InstallSnapshotRequest))
        cluster.push("n3", "n1", cluster.pull("n3", "n1", InstallSnapshotResponse))
    cluster.crash("n3")
    cluster.restart("n3")
    for _ in range(8):
        cluster.beat("n1")
    assert cluster.core("n3").last_index == cluster.core("n1").last_index


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────────────────────────


def late_snapshot(rules: Rules) -> None:
    """S4 (etcd #1763): n2 gets the snapshot late, after it has acknowledged entries behind it by appends."""
    cluster = Cluster(3, settings=paper, rules=rules)
    cluster.elect("n1")
    for _ in range(4):
        cluster.propose("n1", b"acknowledged")
    cluster.settle(only=["n1", "n2"])
    assert cluster.core("n1").commit_index == 4
    assert cluster.core("n2").commit_index < 3
    cluster.push("n1", "n2", snapshot_of(cluster))
    cluster.settle(only=["n2"])
    cluster.campaign("n2", only=["n2", "n3"])
    cluster.campaign("n3", only=["n2", "n3"])


def snapshot_of(cluster: Cluster) -> InstallSnapshotRequest:
    """n1's state as one chunk."""
    data = cluster.watcher.state_at(3)
    return InstallSnapshotRequest(1, "n1", 3, 1, Config(cluster.ids), 0, crc32(data), len(data), 0, data, crc32(data))


def test_a_late_snapshot_does_not_take_away_what_was_acknowledged() -> None:
    late_snapshot(RULES)
    with pytest.raises(Violation):
        late_snapshot(replace(RULES, keep_suffix_after_install=lambda log, index, term: False))


def conflicting_suffix(rules: Rules) -> None:
    """S3: an old leader's tail, longer than the snapshot of the new one."""
    cluster = Cluster(3, settings=paper, rules=rules)
    cluster.elect("n1")
    for _ in range(9):
        cluster.propose("n1", b"lost")
    cluster.settle(only=["n1"])
    cluster.elect("n2", only=["n2", "n3"])
    for _ in range(5):
        cluster.propose("n2", b"kept")
        cluster.settle(only=["n2", "n3"])
    cluster.compact("n2")
    for _ in range(4):
        cluster.beat("n2")
    cluster.propose("n2", b"behind")
    cluster.settle()
    for _ in range(4):
        cluster.beat("n2")
    assert cluster.core("n1").commit_index == cluster.core("n2").commit_index == 6


def test_a_conflicting_suffix_goes_with_the_installation() -> None:
    conflicting_suffix(RULES)
    with pytest.raises((AssertionError, RaftError)):
        conflicting_suffix(replace(RULES, keep_suffix_after_install=lambda log, index, term: True))


def repeated_snapshot(rules: Rules) -> None:
    """S5: a chunk that the network repeats after the follower has gone on."""
    cluster = lagging(paper, rules)
    cluster.wake("n1")
    data = cluster.watcher.state_at(8)
    held = InstallSnapshotRequest(1, "n1", 8, 1, Config(cluster.ids), 0, crc32(data), len(data), 0, data, crc32(data))
    cluster.push("n1", "n3", held)
    cluster.settle()
    for _ in range(3):
        cluster.beat("n1")
    assert cluster.core("n3").commit_index == 9
    cluster.compact("n3")
    cluster.push("n1", "n3", held)


def test_a_repeated_snapshot_does_not_bring_the_state_back() -> None:
    repeated_snapshot(RULES)
    with pytest.raises(Violation):
        repeated_snapshot(replace(RULES, snapshot_is_newer=lambda index, commit: True))


def test_a_new_leader_with_an_older_snapshot_only_is_heard() -> None:
    """The follower holds half of a newer one, whose sender is gone: it must not wait for the rest for ever."""
    core = core_with(1)
    newer = b"the state after seven entries, which is longer"
    assert reply(core, chunk(index=7, state=newer, offset=0, size=10)).next_offset == 10
    assert answer(core, "n2", chunk(size=10)) is None
    assert reply(core, chunk(term=3)).installed


# ── random schedules ─────────────────────────────────────────────────────────────────────────────────────────────────


def trial(seed: int, size: int, settings: Settings, rules: Rules = RULES) -> Cluster:
    cluster = Cluster(size, settings=settings, rules=rules, seed=seed)
    shuffle(cluster, Random(f"{seed}/snapshots"), steps=1200, actions=COMPACTING)
    fair_weather(cluster)
    return cluster


@pytest.mark.parametrize("settings", [small, none_trailing, paper], ids=["trailing", "none-trailing", "paper"])
def test_random_schedules_with_snapshots_keep_the_invariants_and_recover(settings: Settings) -> None:
    """Figure 3 with compaction everywhere; every restored state is the one that the log leads to."""
    installed = 0
    for seed in range(24):
        cluster = Cluster(3 + seed % 3, settings=settings, seed=seed)
        seen: list[NodeId] = []
        cluster.observe = lambda node, ready, seen=seen: seen.append(node) if ready.snapshot else None  # type: ignore[misc]
        shuffle(cluster, Random(f"{seed}/snapshots"), steps=1200, actions=COMPACTING)
        fair_weather(cluster)
        installed += len(seen)
    assert installed >= 10, "the schedules hardly needed a snapshot"


PLANTED = {
    "S10 takes chunks wherever they belong": replace(
        RULES, chunk_fits=lambda received, offset: True, snapshot_is_whole=lambda actual, announced: True
    ),
    "L13 takes what is compacted for a conflict": replace(
        RULES, accepts_append=lambda log, request: log.term_at(request.prev_index) == request.prev_term
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_noticed_in_random_schedules(name: str) -> None:
    for seed in range(60):
        try:
            trial(seed, 3, (none_trailing, paper)[seed % 2], PLANTED[name])
        except (AssertionError, RaftError):
            return
    pytest.fail(f"60 seeds did not notice: {name}")
