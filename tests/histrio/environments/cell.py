"""`python -m tests.histrio.environments.cell SCENARIO FOLDER`: one scenario on a local cluster of its own, as JSON.

A program, because a process enters namespaces for good. The nodes are a few lines of Python that note which datagrams
they get, so that every directed pair can be looked at by itself: TCP cannot tell one direction from both.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from histrio.environments.cluster import Exit
from histrio.environments.local_cluster import LocalCluster, open_local
from histrio.environments.namespaces import enter
from histrio.environments.real_mechanisms import REAL_MECHANISMS
from histrio.systems.system import DeployedSystem, Launch, NodePlace
from nemesis.injector import Apply, Probe, Undo
from nemesis.plan import AtTime, Fault
from tests.histrio.environments.fakes import fake_system

NODES = ("n1", "n2", "n3", "n4", "n5")
PORT = 7000
PATIENCE_S = 5.0

NODE = """
import os, signal, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 7000))
listener = socket.create_server((sys.argv[1], 7000))  # what is sent to it stays unread
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
seen = []
while True:
    data, caller = sock.recvfrom(1000)
    word, _, rest = data.decode().partition(" ")
    if word == "to":
        for address in rest.split():
            sock.sendto(b"hello " + sys.argv[1].encode(), (address, 7000))
    elif word == "hello":
        seen.append(rest)
    elif word == "seen":
        sock.sendto(" ".join(seen).encode(), caller)
        seen.clear()
    elif word == "env":
        sock.sendto(os.environ.get(rest, "").encode(), caller)
    elif word == "store":
        with open(sys.argv[2] + "/stored", "a") as file:
            file.write(rest)
            file.flush()
            os.fsync(file.fileno())
        sock.sendto(b"done", caller)
    elif word == "load":
        sock.sendto(open(sys.argv[2] + "/stored").read().encode(), caller)
    elif word == "exit":
        print("no reason at all", flush=True)
        sys.exit(int(rest))
"""


def launch(place: NodePlace, addresses: Mapping[str, str]) -> Launch:
    argv = (*place.python, "-S", "-E", f"{place.records}/node.py", place.address, place.data)
    return Launch(argv=argv, files={"node.py": NODE}, environ={"HOW": "launched"})


class Cell:
    """A cluster of such nodes, and an observer's socket."""

    def __init__(self, cluster: LocalCluster, exits: list[Exit], unplanned: trio.Event) -> None:
        self.cluster, self.exits, self.unplanned = cluster, exits, unplanned
        self.sock = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def ask(self, node: str, question: str, *, patience_s: float = PATIENCE_S) -> str | None:
        """None: no answer came. A socket for each question, so that late answers to others do no harm."""
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, trio.move_on_after(patience_s):
            await sock.sendto(question.encode(), (self.cluster.addresses[node], PORT))
            return (await sock.recv(1000)).decode()
        return None

    async def answers(self, node: str) -> bool:
        """Whether it comes to answer: datagrams sent before its start are lost."""
        with trio.move_on_after(PATIENCE_S):
            while await self.ask(node, "env HOW", patience_s=0.1) is None:
                pass
            return True
        return False

    async def heard(self) -> list[str]:
        """Directed pairs on which a datagram passes, among nodes that run."""
        addresses = self.cluster.addresses
        for node in self.cluster.running:
            others = " ".join(addresses[other] for other in self.cluster.nodes if other != node)
            await self.sock.sendto(f"to {others}".encode(), (addresses[node], PORT))
        await trio.sleep(0.15)
        names = {address: node for node, address in addresses.items()}
        pairs = []
        for node in self.cluster.running:
            seen = await self.ask(node, "seen")
            pairs += [f"{names[source]}>{node}" for source in (seen or "").split()]
        return sorted(pairs)


@asynccontextmanager
async def cell(folder: Path, *, nodes: tuple[str, ...] = NODES) -> AsyncIterator[Cell]:
    exits: list[Exit] = []
    unplanned = trio.Event()

    def on_exit(left: Exit) -> None:
        exits.append(left)
        if not left.planned:
            unplanned.set()

    system = DeployedSystem(launch=launch, client=fake_system(lambda note: None).client)
    async with open_local(system, nodes, folder, now_ns=lambda: 0, on_exit=on_exit) as cluster:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(cluster.start, node)
        made = Cell(cluster, exits, unplanned)
        for node in nodes:
            assert await made.answers(node), f"{node} does not answer"
        yield made
        made.sock.close()


def applying(fault: str, mechanism: str, *nodes: str, pairs: tuple[tuple[str, str], ...] = ()) -> Apply:
    return Apply(
        fault=Fault(id=fault, kind="kill-one", at=AtTime(ns=0), for_ns=1),
        mechanism=mechanism,
        resolved=nodes,
        nodes=nodes,
        pairs=pairs,
        startable=nodes,
        setting=None,
        ends_ns=1,
    )


def undoing(fault: str, mechanism: str, *nodes: str) -> Undo:
    return Undo(fault_id=fault, mechanism=mechanism, nodes=nodes, startable=nodes)


def all_pairs() -> list[tuple[str, str]]:
    return list(itertools.permutations(NODES, 2))


# ── scenarios ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def partitions(folder: Path) -> dict[str, Any]:
    """Two overlapping faults, one of which changes; a killed and restarted node in between; then both undone."""
    one_way = tuple((source, "n5") for source in NODES if source != "n5")
    halves = tuple(pair for pair in all_pairs() if (pair[0] < "n3") != (pair[1] < "n3"))
    found: dict[str, Any] = {"one_way": one_way, "halves": halves}
    async with cell(folder) as made:
        block = REAL_MECHANISMS["network.block"](made.cluster, lambda node: 0, 1)
        found["before"] = await made.heard()
        await block.apply(applying("f1", "network.block", pairs=one_way))
        found["f1"] = await made.heard()
        await block.apply(applying("f2", "network.block", pairs=halves))
        found["f1+f2"] = await made.heard()
        await made.cluster.kill("n5")
        await made.cluster.start("n5")
        await made.answers("n5")
        found["restarted"] = await made.heard()
        found["counts f1"] = await block.undo(undoing("f1", "network.block", "n5"))
        found["f2"] = await made.heard()
        probe = Probe(fault_id="f1", probe="links-carry", nodes=("n5",))
        found["healed while blocked"] = await block.healed(probe, 0)
        await block.apply(applying("f2", "network.block", pairs=one_way))
        found["f2 changed"] = await made.heard()
        found["counts f2"] = await block.undo(undoing("f2", "network.block", *NODES))
        found["after"] = await made.heard()
        found["healed"] = await block.healed(probe, 0)
        await block.close()
        found["tables"] = (await trio.run_process(["nft", "list", "tables"], capture_stdout=True)).stdout.decode()
    return found


async def processes(folder: Path) -> dict[str, Any]:
    """Kill, terminate and pause; data and variables of a node over its restarts; an exit that nobody planned."""
    found: dict[str, Any] = {}
    async with cell(folder, nodes=("n1", "n2")) as made:
        cluster = made.cluster
        kill, terminate, pause = (
            REAL_MECHANISMS[f"process.{name}"](cluster, lambda node: 1, 1) for name in ("kill", "terminate", "pause")
        )
        await made.ask("n1", "store one")
        await kill.apply(applying("f1", "process.kill", "n1"))
        found["killed"] = (cluster.running, cluster.pid("n1"), await made.ask("n1", "env HOW", patience_s=0.2))
        cluster.set_environ("n1", {"HOW": "changed"})
        found["counts kill"] = await kill.undo(undoing("f1", "process.kill", "n1"))
        await made.answers("n1")
        found["again"] = (await made.ask("n1", "load"), await made.ask("n1", "env HOW"), cluster.incarnation("n1"))
        await terminate.apply(applying("f2", "process.terminate", "n1", "n2"))
        found["counts terminate"] = await terminate.undo(undoing("f2", "process.terminate", "n1", "n2"))
        await made.answers("n1")
        await made.answers("n2")
        await pause.apply(applying("f3", "process.pause", "n2"))
        found["paused"] = (cluster.running, await made.ask("n2", "env HOW", patience_s=0.2))
        async with await trio.open_tcp_stream(cluster.addresses["n2"], PORT):
            found["counts pause"] = await pause.undo(undoing("f3", "process.pause", "n2"))
        found["resumed"] = await made.ask("n2", "env HOW")
        found["nobody"] = await kill.undo(undoing("f9", "process.kill"))
        await made.cluster.start("n2")  # it runs
        await made.sock.sendto(b"exit 7", (cluster.addresses["n2"], PORT))
        with trio.move_on_after(PATIENCE_S):
            await made.unplanned.wait()
        found["exits"] = [(left.node, left.reason, left.planned) for left in made.exits]
    return found


async def stand(folder: Path) -> dict[str, Any]:
    """Stands until it is killed, with a partition in force."""
    async with cell(folder) as made:
        block = REAL_MECHANISMS["network.block"](made.cluster, lambda node: 0, 1)
        await block.apply(applying("f1", "network.block", pairs=tuple(all_pairs())))
        pids = [made.cluster.pid(node) for node in NODES]
        images = [str(made.cluster.volume(node).image) for node in NODES]
        print(json.dumps({"pids": pids, "images": images}), flush=True)
        await trio.sleep_forever()
    return {}


SCENARIOS: Mapping[str, Callable[[Path], Awaitable[dict[str, Any]]]] = {
    "partitions": partitions,
    "processes": processes,
    "stand": stand,
}

if __name__ == "__main__":
    enter()
    print(json.dumps(trio.run(SCENARIOS[sys.argv[1]], Path(sys.argv[2]))))
