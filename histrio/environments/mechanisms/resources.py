"""`resource.cpu`, `resource.memory` and `resource.files`: too little processor, memory or file descriptors.

The kernel limits and counts: control groups for processor and memory, the limit on descriptors of the running process.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

import trio

from histrio.environments.cluster import Cluster, Counts, RealMechanism, Spoke
from histrio.environments.mechanisms.cgroups import Group
from histrio.environments.mechanisms.nodes import answered, revive
from histrio.environments.preload.install import load_shim, page_of
from histrio.environments.preload.page import Count
from nemesis.injector import Apply, Probe, Undo
from nemesis.settings import CpuShare

__all__ = ["limit_files", "limit_memory", "starve_processor"]

_PERIOD_US = 20_000  # shorter than what a heartbeat may take, so that also a node with little to do feels it
_QUOTA_MIN_US = 1_000
"""The kernel takes no less."""
_MEMORY_BYTES = 4096
"""A process brings nothing along into its group: this is for what it takes from now on."""
_KNOCK_S = 0.2
_LISTENING = "0A"


class _Grouped:
    """A limit of a control group on some nodes."""

    def __init__(self, cluster: Cluster, spoke: Spoke, controller: str) -> None:
        self._cluster, self._spoke, self._controller = cluster, spoke, controller
        self._groups: dict[str, Group] = {}
        self._limits: dict[str, dict[str, int]] = {node: {} for node in cluster.nodes}
        self._before: dict[str, dict[str, int]] = {}

    async def apply(self, action: Apply) -> str:
        """Put the processes into their groups, under the limit."""
        limit = self._limit(action)
        self._before[action.fault.id] = {}
        for node in action.nodes:
            group = self._groups.get(node)
            if group is None:
                group = self._groups[node] = Group(self._controller, node)
            self._before[action.fault.id][node] = self._counted(group)
            self._limits[node][action.fault.id] = limit
            self._set(group, min(self._limits[node].values()))
            pid = self._cluster.pid(node)
            if pid is not None:
                with suppress(ProcessLookupError):
                    group.take(pid)
        return f"{self._told(limit)}: {' '.join(action.nodes)}"

    async def undo(self, action: Undo) -> Counts:
        """Lift it; nodes that ended for it start again."""
        before = self._before.pop(action.fault_id)
        counted: dict[str, int] = {}
        for node, then in before.items():
            self._limits[node].pop(action.fault_id)
            self._set(self._groups[node], min(self._limits[node].values(), default=None))
            counted[node] = self._counted(self._groups[node]) - then
        ending = [node for node, number in counted.items() if number and self._controller == "memory"]
        await revive(self._cluster, tuple(before), action.startable, ending)
        return {self._evidence: sum(counted.values())}

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """The nodes answer."""
        return answered(self._cluster, self._spoke, probe.nodes, since_ns)

    async def close(self) -> None:
        """No groups."""
        for group in self._groups.values():
            with suppress(OSError):
                self._set(group, None)
            group.remove()

    @property
    def _evidence(self) -> str:
        return {"cpu": "throttled_periods", "memory": "oom_kills"}[self._controller]

    def _limit(self, action: Apply) -> int:
        if self._controller == "memory":
            return _MEMORY_BYTES
        assert isinstance(action.setting, CpuShare)
        return max(_QUOTA_MIN_US, _PERIOD_US * action.setting.percent // 100)

    def _told(self, limit: int) -> str:
        if self._controller == "memory":
            return f"{limit} bytes of new memory"
        return f"{limit} of every {_PERIOD_US} us of processor time"

    def _counted(self, group: Group) -> int:
        if self._controller == "cpu":
            return group.read("cpu.stat")["nr_throttled"]
        return group.read("memory.oom_control" if group.version == 1 else "memory.events")["oom_kill"]

    def _set(self, group: Group, limit: int | None) -> None:
        match self._controller, group.version:
            case "cpu", 1:
                group.write("cpu.cfs_period_us", str(_PERIOD_US))
                group.write("cpu.cfs_quota_us", str(-1 if limit is None else limit))
            case "cpu", _:
                group.write("cpu.max", f"{'max' if limit is None else limit} {_PERIOD_US}")
            case _, 1:
                group.write("memory.limit_in_bytes", str(-1 if limit is None else limit))
            case _:
                group.write("memory.max", "max" if limit is None else str(limit))


class _Files:
    """No file descriptor beyond those that are open."""

    def __init__(self, cluster: Cluster, spoke: Spoke) -> None:
        self._cluster, self._spoke = cluster, spoke
        self._before: dict[str, dict[str, tuple[int, int]]] = {}
        """Fault -> node -> process, refusals counted."""
        self._limits: dict[int, tuple[int, int]] = {}
        """Of processes, as they were at first."""
        self._knocking: dict[str, list[trio.SocketStream]] = {}

    async def apply(self, action: Apply) -> str:
        """Limit the running processes, and knock at their doors, since nobody else may just now."""
        before = self._before[action.fault.id] = {}
        knocking = self._knocking[action.fault.id] = []
        for node in action.nodes:
            pid = self._cluster.pid(node)
            if pid is None:
                continue
            counted = self._counted(node)
            before[node] = (pid, counted)
            limits = _limit_descriptors(pid)
            if limits is not None:
                self._limits.setdefault(pid, limits)
            for port in _listening_ports(pid):
                with suppress(OSError), trio.move_on_after(_KNOCK_S):
                    knocking.append(await trio.open_tcp_stream(self._cluster.addresses[node], port))
        return f"RLIMIT_NOFILE at what is open: {' '.join(before)}"

    async def undo(self, action: Undo) -> Counts:
        """The limits that were."""
        before = self._before.pop(action.fault_id)
        elsewhere = {node for nodes in self._before.values() for node in nodes}
        for node, (pid, _) in before.items():
            if pid in self._limits and node not in elsewhere and self._cluster.pid(node) == pid:
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, self._limits.pop(pid))
        for stream in self._knocking.pop(action.fault_id):
            await stream.aclose()
        await revive(self._cluster, action.nodes, action.startable, ())
        return {"file_errors": sum(self._counted(node) - then for node, (_, then) in before.items())}

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """The nodes answer."""
        return answered(self._cluster, self._spoke, probe.nodes, since_ns)

    async def close(self) -> None:
        """No limits: they end with the processes."""
        for streams in self._knocking.values():
            for stream in streams:
                await stream.aclose()

    def _counted(self, node: str) -> int:
        page = page_of(self._cluster, node)
        return 0 if page is None else page.count(Count.FILE_ERRORS)


def _limit_descriptors(pid: int) -> tuple[int, int] | None:
    """To the lowest number that is free; what the limits were. None: the process is gone."""
    try:
        used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        free = next(number for number in range(len(used) + 1) if number not in used)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limits[1]))
    except (ProcessLookupError, FileNotFoundError):
        return None
    return limits


def _listening_ports(pid: int) -> list[int]:
    """Of TCP, in the network of the process."""
    with suppress(OSError):
        rows = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        cells = [row.split() for row in rows]
        return sorted({int(cell[1].rpartition(":")[2], 16) for cell in cells if cell[3] == _LISTENING})
    return []


def starve_processor(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`resource.cpu`."""
    return _Grouped(cluster, spoke, "cpu")


def limit_memory(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`resource.memory`."""
    return _Grouped(cluster, spoke, "memory")


def limit_files(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`resource.files`."""
    load_shim(cluster, journal=False)
    return _Files(cluster, spoke)
