"""Two real nodes on a bench: a fault is begun, a client looks, the fault is ended, the client looks again.

`python bench.py local|docker CELL` prints what was seen as JSON, for `test_cells`: a cluster moves its process into
namespaces, so that it needs a process of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import trio

from histrio.environments.cluster import Cluster, Exit, OpenCluster, RealMechanism, Serving
from histrio.environments.local_cluster import open_local
from histrio.environments.mechanisms.registry import ALL_MECHANISMS
from histrio.systems.system import DeployedSystem, Launch, NodePlace
from nemesis.injector import Apply, Probe, Undo
from nemesis.plan import AtTime, Fault
from nemesis.registry import KINDS
from nemesis.settings import setting_of

NODES = ("n1", "n2")
PAIRS = (("n1", "n2"),)
SERVICE = Path(__file__).with_name("service.py")
PORT = 7000
_READY_TRIES = 500


class Bench:
    """What a cell works with; the node `n1` is the one that is hurt."""

    def __init__(self, cluster: Cluster, mechanism: RealMechanism, name: str) -> None:
        self.cluster, self.mechanism, self.name = cluster, mechanism, name
        self._answered: dict[str, int] = {}
        self._faults = 0

    def spoke(self, node: str) -> int:
        return self._answered.get(node, -1)

    async def ask(self, line: str, *, node: str = "n1", limit_s: float = 10.0) -> str:
        """The answer; `refused`, `silent` or `closed` where there is none."""
        with trio.move_on_after(limit_s):
            try:
                stream = await trio.open_tcp_stream(self.cluster.addresses[node], PORT)
            except OSError:
                return "refused"
            async with stream:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(f"{line}\n".encode())
                    answer = await self._line(stream)
                    if answer:
                        self._answered[node] = self.now_ns()
                        return answer
                return "closed"
        return "silent"

    async def _line(self, stream: trio.SocketStream) -> str:
        answer = b""
        while not answer.endswith(b"\n"):
            more = await stream.receive_some()
            if not more:
                break
            answer += more
        return answer.decode().strip()

    def now_ns(self) -> int:
        return int(trio.current_time() * 1e9)

    async def ready(self, node: str = "n1") -> None:
        for _ in range(_READY_TRIES):
            if await self.ask("ping", node=node, limit_s=1.0) == "pong":
                return
            await trio.sleep(0.01)
        raise AssertionError(f"{node} does not answer")

    @asynccontextmanager
    async def fault(self, kind: str, seen: dict[str, Any], **params: str) -> AsyncIterator[None]:
        """In force inside the block; then `seen` tells rule, counts, and what showed that it healed."""
        self._faults += 1
        fault = Fault(id=f"f{self._faults:02d}", kind=kind, at=AtTime(0), for_ns=2_000_000_000, params=params)
        seen["rule"] = await self.mechanism.apply(
            Apply(
                fault=fault,
                mechanism=self.name,
                resolved=("n1",),
                nodes=("n1",),
                pairs=PAIRS,
                startable=("n1",),
                setting=setting_of(KINDS[kind], params),
                ends_ns=0,
            )
        )
        yield
        since_ns = self.now_ns()
        undo = Undo(fault_id=fault.id, mechanism=self.name, nodes=("n1",), startable=("n1",))
        seen["counts"] = await self.mechanism.undo(undo)
        await self.ready()
        seen["healed"] = await self._healed(Probe(fault_id=fault.id, probe=KINDS[kind].probe, nodes=("n1",)), since_ns)

    async def _healed(self, probe: Probe, since_ns: int) -> str | None:
        for _ in range(200):
            if probe.probe == "links-carry":
                await self.ask(f"datagrams {self.cluster.addresses['n2']} 5 0.05")
            else:
                await self.ask("ping")
            healed = await self.mechanism.healed(probe, since_ns)
            if healed is not None:
                return healed
        return None


Cell = Callable[[Bench], Awaitable[dict[str, Any]]]


async def _network(bench: Bench, kind: str, line: str, **params: str) -> dict[str, Any]:
    """What one line of the client comes to before, in and after a fault of the link from n1 to n2."""
    seen: dict[str, Any] = {}
    line = line.replace("PEER", bench.cluster.addresses["n2"])
    seen["before"] = await bench.ask(line)
    async with bench.fault(kind, seen, **params):
        seen["during"] = await bench.ask(line, limit_s=20)
    seen["after"] = await bench.ask(line)
    return seen


async def _disk(bench: Bench, kind: str, **params: str) -> dict[str, Any]:
    """A synced write and a ping before, in and after a fault of the disk."""
    seen: dict[str, Any] = {"before": await bench.ask("write a 100000 0 synced")}
    async with bench.fault(kind, seen, **params):
        seen["during"] = await bench.ask("write a 100000 100000 synced", limit_s=0.5)
        seen["ping"] = await bench.ask("ping")
    seen["after"] = await bench.ask("write a 100000 200000 synced")
    return seen


async def _stake(bench: Bench, kind: str, **params: str) -> dict[str, Any]:
    """A node that ends itself when its disk refuses."""
    seen: dict[str, Any] = {"before": await bench.ask("stake a")}
    async with bench.fault(kind, seen, **params):
        seen["during"] = await bench.ask("stake b")
    seen["after"] = await bench.ask("stake c")
    return seen


async def _clock(bench: Bench, kind: str, **params: str) -> dict[str, Any]:
    """Clocks, and a wait of 0.2 s by the node's clock."""
    seen: dict[str, Any] = {"before": await bench.ask("clocks"), "doze before": await bench.ask("doze 0.2")}
    async with bench.fault(kind, seen, **params):
        looks = []
        for _ in range(40):
            looks.append(await bench.ask("clocks"))
            await trio.sleep(0.01)
        seen["during"] = looks
        seen["doze during"] = await bench.ask("doze 0.2")
    seen["after"] = await bench.ask("clocks")
    seen["doze after"] = await bench.ask("doze 0.2")
    return seen


async def _power(bench: Bench, kind: str, **params: str) -> dict[str, Any]:
    """1000 synced bytes, 700 more that are not, a new file and a new name that nobody synced."""
    seen: dict[str, Any] = {}
    for line in ("write a 1000 0 synced", "write a 700 1000 not", "write b 500 0 not", "write c 100 0 synced"):
        await bench.ask(line)
    await bench.ask("rename c d")
    async with bench.fault(kind, seen, **params):
        seen["during"] = await bench.ask("ping", limit_s=0.5)
    seen["after"] = {name: await bench.ask(f"read {name}") for name in "abcd"}
    return seen


async def _damage(bench: Bench, kind: str, **params: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    await bench.ask("write a 40000 0 synced")
    await bench.ask("write b 40000 0 synced")
    seen["before"] = [await bench.ask(f"read {name}") for name in "ab"]
    async with bench.fault(kind, seen, **params):
        await bench.ready()
        seen["during"] = [await bench.ask(f"read {name}") for name in "ab"]
    seen["after"] = [await bench.ask(f"read {name}") for name in "ab"]
    return seen


async def _simple(bench: Bench, kind: str, line: str, **params: str) -> dict[str, Any]:
    seen: dict[str, Any] = {"before": await bench.ask(line)}
    async with bench.fault(kind, seen, **params):
        seen["during"] = await bench.ask(line, limit_s=3)
    seen["after"] = await bench.ask(line)
    return seen


CELLS: Mapping[str, tuple[str, Cell]] = {
    "loss": ("network.disturb", lambda b: _network(b, "net-loss", "datagrams PEER 200 0.2", loss="30%")),
    "delay": (
        "network.disturb",
        lambda b: _network(b, "net-delay", "datagrams PEER 20 0.3", delay="60ms", jitter="0ms"),
    ),
    "reorder": ("network.disturb", lambda b: _network(b, "net-reorder", "datagrams PEER 200 0.2", reordering="30%")),
    "duplicate": (
        "network.disturb",
        lambda b: _network(b, "net-duplicate", "datagrams PEER 200 0.2", duplication="40%"),
    ),
    "corrupt": ("network.disturb", lambda b: _network(b, "net-corrupt", "datagrams PEER 200 0.2", corruption="20%")),
    "corrupt silently": (
        "network.disturb",
        lambda b: _network(b, "net-corrupt", "datagrams PEER 200 0.2", corruption="20%", checksums="silent"),
    ),
    "slow": ("network.throttle", lambda b: _network(b, "net-slow", "send PEER 40000", bandwidth="64kB/s")),
    "reset": ("network.reset", lambda b: _network(b, "net-reset", "chat PEER 0.3")),
    "step": ("clock.step", lambda b: _clock(b, "clock-step", offset="-1s")),
    "strobe": ("clock.strobe", lambda b: _clock(b, "clock-strobe", offset="+1s", period="100ms")),
    "rate": ("clock.rate", lambda b: _clock(b, "clock-rate", rate="200%")),
    "full": ("disk.full", lambda b: _disk(b, "disk-full")),
    "error": ("disk.error", lambda b: _disk(b, "disk-error", operations="sync")),
    "read-only": ("disk.read-only", lambda b: _disk(b, "disk-read-only")),
    "slow disk": ("disk.slow", lambda b: _disk(b, "disk-slow", delay="50ms")),
    "hang": ("disk.hang", lambda b: _disk(b, "disk-hang")),
    "power": ("process.power-loss", lambda b: _power(b, "power-loss-one", moment="now")),
    "full by the kernel": ("disk.full", lambda b: _stake(b, "disk-full")),
    "error by the kernel": ("disk.error", lambda b: _stake(b, "disk-error", operations="any")),
    "read-only by the kernel": ("disk.read-only", lambda b: _stake(b, "disk-read-only")),
    "hang by the kernel": ("disk.hang", lambda b: _disk(b, "disk-hang")),
    "power by the kernel": ("process.power-loss", lambda b: _power(b, "power-loss-one", moment="now")),
    "torn": ("disk.tear", lambda b: _power(b, "disk-torn")),
    "flip": ("disk.flip", lambda b: _damage(b, "disk-flip", bits="8")),
    "truncate": ("disk.truncate", lambda b: _damage(b, "disk-truncate", bytes="4096")),
    "cpu": ("resource.cpu", lambda b: _simple(b, "cpu-starve", "burn 4000000", share="10%")),
    "memory": ("resource.memory", lambda b: _simple(b, "memory-limit", "hoard 30000000")),
    "files": ("resource.files", lambda b: _simple(b, "files-limit", "files 5")),
}
"""Name -> mechanism, what is done. Expectations are in `test_cells`."""

BY_KERNEL = frozenset(name for name in CELLS if name.endswith(" by the kernel"))
"""Their nodes load nothing, as static programs and those of Go do."""


def _system(*, preloadable: bool) -> DeployedSystem:
    def launch(place: NodePlace, members: Mapping[str, str]) -> Launch:
        service = SERVICE.read_text(encoding="utf-8")
        return Launch((*place.python, f"{place.records}/service.py", place.data), {"service.py": service}, {})

    def no_client(process: int, addresses: Mapping[str, str]) -> Any:
        raise AssertionError("a bench has no clients")

    return DeployedSystem(launch=launch, client=no_client, preloadable=preloadable)


async def run_cell(open_cluster: OpenCluster, name: str, folder: Path) -> dict[str, Any]:
    mechanism, cell = CELLS[name]
    exits: list[Exit] = []
    async with open_cluster(
        _system(preloadable=name not in BY_KERNEL),
        NODES,
        folder,
        now_ns=lambda: int(trio.current_time() * 1e9),
        on_exit=exits.append,
    ) as cluster:
        answered: list[Bench] = []
        made = ALL_MECHANISMS[mechanism](cluster, lambda node: answered[0].spoke(node), 1)
        bench = Bench(cluster, made, mechanism)
        answered.append(bench)
        async with trio.open_nursery() as nursery:
            if isinstance(made, Serving):
                nursery.start_soon(made.serve)
            for node in NODES:
                await cluster.start(node)
            for node in NODES:
                await bench.ready(node)
            try:
                seen = await cell(bench)
            finally:
                with trio.CancelScope(shield=True):
                    await made.close()
            nursery.cancel_scope.cancel()
    return {**seen, "exits": [left.reason for left in exits if not left.planned]}


def _opener(environment: str) -> OpenCluster:
    if environment == "local":
        return open_local
    from histrio.environments.container_cluster import open_containers
    from histrio.environments.container_image import build_image, connect

    client = connect()
    return open_containers(client, build_image(client, lambda text: None), keep=False)


def main(environment: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = trio.run(run_cell, _opener(environment), name, Path(folder))
    print(json.dumps(msgspec.to_builtins(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
