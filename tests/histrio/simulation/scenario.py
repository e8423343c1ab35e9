"""A busy world, run as a script by `test_determinism.py`: gossip, disks, clients, and every fault there is.

    python scenario.py SEED QUANTUM_NS

prints what happened as one line of JSON, and the same for a copy that was pickled halfway and went on from there.
"""

from __future__ import annotations

import json
import pickle
import sys
from random import Random
from typing import Any

import msgspec

from histrio.simulation.kernel import Simulation
from histrio.simulation.network import Disturbance
from histrio.simulation.node import Address, Effects, Send
from histrio.simulation.profile import LinkProfile, Profile
from raft_trio.files import FileBatch, FileExecutor, ListDir, Pwrite, Read, Sync, SyncDir, Unlink

MS = 1_000_000
NODES = ("n1", "n2", "n3", "n4", "n5")


class Gossip:
    """Passes rumours on at random, logs them, and breaks down now and then."""

    def __init__(self, name: Address, incarnation: int) -> None:
        self.name, self.rng = name, Random(f"gossip/{name}/{incarnation}")
        self.known: dict[str, int] = {}
        self.heard: list[tuple[Address, Any]] = []
        self.ended, self.token, self.length = 0, 0, 0
        self.trace: list[Any] = []

    def start(self, now_ns: int, execute: FileExecutor) -> None:
        names = execute(ListDir(""))
        assert isinstance(names, tuple)
        self.length = sum(len(execute(Read(name)) or b"") for name in names)
        self.trace.append(("restored", self.length))

    def deliver(self, now_ns: int, source: Address, payload: Any) -> None:
        self.heard.append((source, payload))

    def io_done(self, now_ns: int, token: int, error: OSError | None) -> None:
        self.ended += 1

    def wake(self, now_ns: int) -> None:
        self.known[f"{self.name}@{now_ns}"] = 0

    def disconnected(self, now_ns: int, source: Address) -> None:
        self.trace.append(("gone", source))

    def flush(self, now_ns: int) -> Effects:
        replies = [Send(source, len(self.known), "count") for source, _ in self.heard if source.startswith("c")]
        for _, rumour in self.heard:
            self.known[rumour] = self.known.get(rumour, 0) + 1
        self.known = dict(list(self.known.items())[-40:])
        fresh = [rumour for rumour, told in self.known.items() if told < 3][-2:]
        sends = [Send(self.rng.choice(NODES), rumour, "rumour", 100 + len(rumour)) for rumour in fresh]
        trace, self.trace, self.heard = self.trace, [], []
        assert self.rng.random() > 0.001, "broke down"
        return Effects(
            sends=[send for send in sends if send.destination != self.name],
            replies=replies,
            batches=self._log(now_ns) if replies else (),
            wake_at_ns=now_ns - now_ns % (5 * MS) + 10 * MS,
            trace=trace,
        )

    def _log(self, now_ns: int) -> tuple[FileBatch, ...]:
        self.token += 1
        path = f"log{self.token % 3}"
        data = repr(self.known).encode()[-2_000:]
        change = Unlink(path) if self.rng.random() < 0.1 else Pwrite(path, self.token, data)
        return (FileBatch(self.token, (change, *((Sync(path), SyncDir("")) if self.token % 4 else ()))),)


class Harness:
    """Clients that ask for ever, and one fault after the other."""

    def __init__(self, seed: int, quantum_ns: int) -> None:
        links = LinkProfile(quantum_ns=quantum_ns, latency_min_ns=MS // 2, latency_max_ns=2 * MS)
        profile = Profile(links=links)
        self.simulation = Simulation(seed, profile, event_budget=10**6, on_trace=self.traced)
        self.rng, self.seen = Random(f"{seed}/harness"), list[Any]()
        for name in NODES:
            self.simulation.add_node(name, Gossip)
            self.simulation.start(name)
        for number in range(6):
            self.ask(f"c{number}")
        self.fault()

    def traced(self, *flush: Any) -> None:
        self.seen.append(flush)

    def ask(self, client: str) -> None:
        simulation = self.simulation
        if not simulation.is_connected(client):
            caller = Caller(self, client)
            simulation.connect(client, self.rng.choice(NODES), caller.answered, caller.cut_off)
        simulation.request(client, f"{client}@{simulation.now_ns}")

    def fault(self) -> None:
        simulation, rng, now = self.simulation, self.rng, self.simulation.now_ns
        victim, other = rng.sample(NODES, 2)
        rule, die = f"f{now}", rng.random()
        if die < 0.3:
            self.seen.append(msgspec.to_builtins(simulation.kill(victim, power_loss=die < 0.15)))
        elif die < 0.5:
            simulation.pause(victim)
        elif die < 0.8:
            simulation.network.block(rule, [(victim, other), (other, victim)])
        else:
            disturbance = Disturbance(loss=0.2, duplication=0.1, reordering=0.3, delay_max_ns=3 * MS)
            simulation.network.disturb(rule, [(victim, name) for name in NODES if name != victim], disturbance)
        simulation.call_at(now + 60 * MS, Undo(self, rule, victim, die))
        simulation.call_at(now + 25 * MS, self.fault)

    def summary(self) -> str:
        simulation = self.simulation
        counts = msgspec.to_builtins(simulation.network.counts())
        return json.dumps([simulation.trace_hash(), simulation.events, counts, simulation.exits, self.seen])


class Undo:
    """Ends one fault, and starts whoever is down."""

    def __init__(self, harness: Harness, rule: str, victim: str, die: float) -> None:
        self.harness, self.rule, self.victim, self.die = harness, rule, victim, die

    def __call__(self) -> None:
        simulation = self.harness.simulation
        if 0.5 <= self.die < 0.8:
            self.harness.seen.append(simulation.network.unblock(self.rule))
        elif self.die >= 0.8:
            self.harness.seen.append(msgspec.to_builtins(simulation.network.calm(self.rule)))
        self.harness.seen.append(msgspec.to_builtins(simulation.resume(self.victim)))
        for name in NODES:
            simulation.start(name)


class Caller:
    """One client: asks again whatever happens."""

    def __init__(self, harness: Harness, client: str) -> None:
        self.harness, self.client = harness, client

    def answered(self, payload: Any) -> None:
        self.harness.seen.append((self.client, payload))
        self.harness.simulation.call_at(self.harness.simulation.now_ns + 3 * MS, self.ask_again)

    def cut_off(self, delivered: bool) -> None:
        self.harness.seen.append((self.client, delivered))
        self.harness.simulation.call_at(self.harness.simulation.now_ns + 5 * MS, self.ask_again)

    def ask_again(self) -> None:
        self.harness.ask(self.client)


def main(seed: int, quantum_ns: int) -> None:
    harness = Harness(seed, quantum_ns)
    harness.simulation.run_until(250 * MS)
    copy = pickle.loads(pickle.dumps(harness))
    for world in (harness, copy):
        world.simulation.run_until(500 * MS)
        print(world.summary())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
