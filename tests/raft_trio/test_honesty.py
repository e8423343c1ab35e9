"""What clients are told is true: under loss, repetition, delay, crashes and power loss of a whole cluster.

Every client appends the ids of its operations to one list, so that the list at the end says what took effect, and how
often. The three answers of `raft_trio.service` are compared with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from raft_trio import kv
from raft_trio.build import BUILD, NODE_RULES, Build
from raft_trio.machine import StateMachine
from raft_trio.messages import Done, OpenSession, OutcomeUnknown, Query, Refused, SessionOpened, Submit
from tests.raft_trio.cluster import MS, Cluster

GET = Query("get", kv.encode(kv.Get("log")))
ROUNDS = 50


class Told(Counter[str]):
    """How often each kind of answer was given, and the lies among them."""

    lies: list[str]


COMPACTING: dict[str, Any] = {
    "snapshot_threshold": 12,
    "trailing_logs": 2,
    "snapshot_chunk_size": 300,
    "wal_segment_bytes": 2000,
}
"""Settings under which every run goes through many snapshots."""


def chaos(seed: int, *, build: Build = BUILD, **numbers: Any) -> Told:
    """A run in which everything fails that may."""
    random = Random(f"{seed}/chaos")
    cluster = Cluster(3, seed=seed, build=build, **numbers)
    sessions = [opened(cluster) for _ in range(3)]
    cluster.intercept = lambda to, frame: random.choice((0, 1, 1, 1, 1, 1, 2))
    cluster.delay_ns = lambda: random.randrange(60) * MS if random.random() < 0.2 else 0
    retried: set[str] = set()
    for number in range(1, ROUNDS + 1):
        disturb(cluster, random)
        for client, session in enumerate(sessions):
            operation = f"{client}.{number}"
            request = Submit(operation, session, number, kv.encode(kv.Append("log", operation)))
            nodes = random.sample(sorted(cluster.nodes), k=random.choice((1, 1, 2)))
            retried |= {operation} if len(nodes) > 1 else set()
            for node in nodes:
                cluster.request(node, f"{operation} at {node}", request)
        cluster.run(random.randrange(60))
    return judge(cluster, retried)


def opened(cluster: Cluster) -> int:
    reply = cluster.ask(cluster.leader(), OpenSession("open"))
    assert isinstance(reply, SessionOpened)
    return reply.session


def disturb(cluster: Cluster, random: Random) -> None:
    fate = random.random()
    down = sorted(set(cluster.ids) - set(cluster.nodes))
    if fate < 0.15 and not down:
        cluster.kill(random.choice(cluster.ids), power=random.random() < 0.5)
    elif fate < 0.5 and down:
        cluster.start(down[0])
    elif fate < 0.6:
        cluster.isolate(random.choice(cluster.ids))
    elif fate < 0.8:
        cluster.cut.clear()


def judge(cluster: Cluster, retried: set[str]) -> Told:
    cluster.cut.clear()
    cluster.intercept = lambda to, frame: 1
    for node in sorted(set(cluster.ids) - set(cluster.nodes)):
        cluster.start(node)
    cluster.run(2000)
    reply = cluster.ask(cluster.leader(), GET)
    assert isinstance(reply, Done)
    found = kv.decode_result(reply.result)
    present = Counter(found.value if isinstance(found, kv.Found) else ())
    told = Told()
    told.lies = [f"{operation} took effect {times} times" for operation, times in present.items() if times > 1]
    for connection, replies in cluster.replies.items():
        operation = connection.partition(" at ")[0]
        for reply in replies:
            told[type(reply).__name__] += 1
            if isinstance(reply, Done) and operation.count(".") and not present[operation]:
                told.lies.append(f"{operation} was acknowledged and is lost")
            if isinstance(reply, Refused) and operation not in retried and present[operation]:
                told.lies.append(f"{operation} was refused ({reply.reason}) and took effect")
    return told


@pytest.mark.parametrize("seed", range(12))
def test_an_acknowledged_operation_took_effect_once_and_a_refused_one_never(seed: int) -> None:
    """Jepsen's rule of three outcomes; raft.md §3.3 C3, C8, §3.4 P4, §3.8 K1, K9. A retry's refusal is of that try."""
    assert chaos(seed).lies == []


@pytest.mark.parametrize("seed", range(12))
def test_answers_stay_honest_when_the_log_is_compacted_all_the_time(seed: int) -> None:
    """Sessions and state come back from snapshots, of one's own disk or of the leader's (thesis §6.3; S8)."""
    assert chaos(seed, **COMPACTING).lies == []


def test_the_runs_meet_every_kind_of_answer() -> None:
    """Otherwise the test above could pass without having seen anything."""
    told = chaos(0) + chaos(1) + chaos(2)
    assert told[Done.__name__] > 60
    assert told[Refused.__name__] > 20
    assert told[OutcomeUnknown.__name__] > 5


def first_lies(build: Build, **numbers: Any) -> list[str]:
    for seed in range(12):
        lies = chaos(seed, build=build, **numbers).lies
        if lies:
            return lies
    return []


def speculative(machine: StateMachine, command: bytes) -> bytes | None:
    state = machine.snapshot()
    result = machine.apply(command)
    machine.restore(state)
    return result


def test_planted_acknowledgement_at_append_is_caught() -> None:
    """Mutant C3."""
    lies = first_lies(replace(BUILD, node_rules=replace(NODE_RULES, result_at_append=speculative)))
    assert any("is lost" in lie for lie in lies)


def test_planted_loss_of_deduplication_is_caught() -> None:
    """Mutant K1."""
    lies = first_lies(replace(BUILD, node_rules=replace(NODE_RULES, is_new_command=lambda last, sequence: True)))
    assert any("times" in lie for lie in lies)


def test_planted_loss_of_sessions_in_snapshots_is_caught() -> None:
    """Mutant S8: a node that restores a snapshot knows no session, and refuses what others apply."""
    rules = replace(NODE_RULES, sessions_in_snapshot=lambda sessions: b"")
    assert first_lies(replace(BUILD, node_rules=rules), **COMPACTING)
