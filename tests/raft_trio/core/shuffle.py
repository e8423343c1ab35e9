"""A random schedule over a `Cluster`: loss, duplication, reordering, late syncs, crashes, then fair weather.

Belongs here: the choice of steps. Deterministic by seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from raft_trio.core.configurations import changed, members_of
from raft_trio.types import NodeId, Role
from tests.raft_trio.core.cluster import MS, Cluster, require

__all__ = ["ACTIONS", "CHANGING", "COMPACTING", "READING", "Actions", "fair_weather", "shuffle"]


Actions = tuple[tuple[int, Callable[["World"], None]], ...]
"""What may happen, by weight."""


@dataclass
class World:
    """A cluster under a random schedule."""

    cluster: Cluster
    random: Random
    cut: set[NodeId] = field(default_factory=set)
    """Nodes that hear only each other."""
    number: int = 0

    def some(self, nodes: list[NodeId]) -> list[NodeId]:
        """One of `nodes`, or none if there is none."""
        return [self.random.choice(nodes)] if nodes else []

    def up(self) -> list[NodeId]:
        return [node for node, member in self.cluster.members.items() if member.core is not None]


def shuffle(cluster: Cluster, random: Random, *, steps: int, actions: Actions | None = None) -> None:
    """Take `steps` random steps. Raises `Violation`, or `AssertionError` from a core that noticed first."""
    world = World(cluster, random)
    actions = actions or ACTIONS
    weights = [weight for weight, _ in actions]
    for number in range(steps):
        world.number = number
        _, action = random.choices(actions, weights)[0]
        action(world)


def fair_weather(cluster: Cluster, *, rounds: int = 40) -> None:
    """Everybody is up and every message arrives: one leader, everything committed, all logs equal (liveness)."""
    cluster.network.clear()
    for node in cluster.ids:
        if cluster.members[node].core is None:
            cluster.restart(node)
    for number in range(rounds):
        cluster.settle()
        leader = cluster.leader()
        if leader is not None and number % 4 == 3:
            cluster.propose(leader, b"fair")
            cluster.settle()
        if leader is not None and number > 10 and _caught_up(cluster, leader):
            return
        for node in sorted(cluster.ids, key=lambda node: cluster.core(node).deadline_ns()):
            if cluster.core(node).deadline_ns() <= cluster.now_ns + 50 * MS:
                cluster.wake(node)
                cluster.settle()
        cluster.now_ns += 50 * MS
    states = {node: (cluster.core(node).role.value, cluster.core(node).commit_index) for node in cluster.ids}
    require(False, f"liveness: not all caught up in fair weather: {states}")


def _caught_up(cluster: Cluster, leader: NodeId) -> bool:
    core = cluster.core(leader)
    last, config = core.last_index, core.config
    if last == 0 or config.voters_outgoing or leader not in config.voters:
        return False
    members = [cluster.core(node) for node in members_of(config)]
    return all(member.commit_index == last and member.last_index == last for member in members)


def _deliver(world: World, *, keep: bool = False) -> None:
    network = world.cluster.network
    if not network:
        return
    # mostly old messages, now and then any: reordering without starving everybody
    window = len(network) if world.random.random() < 0.15 else min(3, len(network))
    position = world.random.randrange(window)
    source, target, _ = network[position]
    if (source in world.cut) == (target in world.cut):
        world.cluster.deliver(position, keep=keep)
    elif world.random.random() < 0.7:
        network.pop(position)


def _duplicate(world: World) -> None:
    _deliver(world, keep=True)


def _drop(world: World) -> None:
    if world.cluster.network:
        world.cluster.network.pop(world.random.randrange(len(world.cluster.network)))


def _sync(world: World) -> None:
    for node in world.some([node for node in world.up() if world.cluster.members[node].disk.queue]):
        world.cluster.sync(node)


def _propose(world: World) -> None:
    for node in world.some([node for node in world.up() if world.cluster.core(node).role is Role.LEADER]):
        world.cluster.propose(node, b"%d" % world.number)


def _read(world: World) -> None:
    for node in world.some(world.up()):
        world.cluster.read(node, world.number)


def _wake(world: World) -> None:
    for node in world.some(world.up()):
        world.cluster.wake(node)


def _tick(world: World) -> None:
    """Time passes; a node whose deadline has come notices it."""
    world.cluster.now_ns += world.random.randrange(20 * MS)
    for node in world.up():
        if world.cluster.core(node).deadline_ns() <= world.cluster.now_ns:
            world.cluster.wake(node)


def _isolate(world: World) -> None:
    ids = world.cluster.ids
    world.cut = set(world.random.sample(ids, world.random.randint(0, len(ids) // 2)))


def _crash(world: World) -> None:
    up = world.up()
    if len(up) > 1:
        world.cluster.crash(world.random.choice(up), kept=world.random.choice((0, 0, 1, 2)))


def _restart(world: World) -> None:
    for node in world.cluster.ids:
        if world.cluster.members[node].core is None and world.random.random() < 0.5:
            world.cluster.restart(node)


def _compact(world: World) -> None:
    for node in world.some(world.up()):
        world.cluster.compact(node)


ACTIONS: Actions = (
    (60, _deliver),
    (30, _sync),
    (10, _propose),
    (4, _read),
    (4, _drop),
    (4, _duplicate),
    (3, _wake),
    (6, _tick),
    (1, _isolate),
    (1, _crash),
    (2, _restart),
)


def _change(world: World) -> None:
    """A leader is asked to let somebody in, to give somebody a vote, or to take it away; or two of these at once."""
    cluster, random = world.cluster, world.random
    for leader in world.some([node for node in world.up() if cluster.core(node).role is Role.LEADER]):
        config = cluster.core(leader).config
        wishes: dict[str, list[NodeId]] = {"add_learners": [], "promote": [], "demote": [], "remove": []}
        for node in random.sample(cluster.ids, random.choice((1, 2))):
            if node in config.learners:
                wish = "promote" if random.random() < 0.8 else "remove"
            elif node not in config.voters:
                wish = "add_learners"
            else:
                wish = "demote" if random.random() < 0.3 else "remove"
            wishes[wish].append(node)
        target = changed(config, **wishes)
        if target is not None and len(target.voters) > 1:
            cluster.change(leader, target)


def _transfer(world: World) -> None:
    cluster = world.cluster
    for leader in world.some([node for node in world.up() if cluster.core(node).role is Role.LEADER]):
        cluster.transfer(leader, world.random.choice(("", *cluster.ids)))


CHANGING: Actions = (*ACTIONS, (6, _change), (1, _compact), (1, _transfer))

READING: Actions = (*CHANGING, (25, _read))

COMPACTING: Actions = (*ACTIONS, (4, _compact))
