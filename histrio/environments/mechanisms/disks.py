"""`disk.full`, `disk.error`, `disk.read-only`, `disk.slow` and `disk.hang`: disks that refuse or stall.

Where a node has a file system of its own, that one really is full. The other faults are made by what is preloaded into
the node, which can fail one kind of operation and lets go at once. A node that loads nothing gets the kernel's coarser
ones, if its disk is a file system of its own: it fails everything and must be mounted again, or it is frozen.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from histrio.environments.cluster import Cluster, Counts, RealMechanism, Spoke, Volume
from histrio.environments.mechanisms.commands import run
from histrio.environments.mechanisms.nodes import answered, process_state, revive
from histrio.environments.mechanisms.orders import disk_orders
from histrio.environments.mechanisms.power import shut_down
from histrio.environments.preload.build import obstacle
from histrio.environments.preload.install import load_shim, page_of
from histrio.errors import HarnessFailure
from nemesis.injector import Apply, Probe, Undo

__all__ = ["DISK_MECHANISMS", "DiskFault", "free_disk", "full_disk"]

_Change = Callable[[Volume], Awaitable[None]]
_FIFREEZE, _FITHAW = 0xC0045877, 0xC0045878


class DiskFault:
    """One of the five: by orders to nodes that take them, by the kernel for the others."""

    def __init__(self, mechanism: str, cluster: Cluster, spoke: Spoke) -> None:
        self._mechanism, self._cluster, self._spoke = mechanism, cluster, spoke
        self._orders = disk_orders(mechanism, cluster, spoke)
        self._by_kernel: dict[str, tuple[str, ...]] = {}
        """Fault -> nodes that take no orders."""
        self._full: dict[str, tuple[str, ...]] = {}
        """Fault -> nodes whose file system it has filled."""

    async def apply(self, action: Apply) -> str:
        """Begin."""
        fault = action.fault.id
        deaf = tuple(node for node in action.nodes if page_of(self._cluster, node) is None)
        rule = await self._orders.apply(action)
        if self._mechanism == "disk.full":
            self._full[fault] = tuple(node for node in action.nodes if self._image(node) is not None)
            self._by_kernel[fault] = tuple(node for node in deaf if node in self._full[fault])
            for node in self._full[fault]:
                full_disk(self._cluster.volume(node).path)
            return f"no free block left: {' '.join(self._full[fault])}" if self._full[fault] else rule
        self._by_kernel[fault] = deaf
        for node in deaf:
            if self._image(node) is None or self._mechanism not in _BY_KERNEL:
                raise HarnessFailure(
                    f"the disk of {node} cannot be hurt",
                    why="its program loads nothing, and its disk is no file system of its own",
                    fix="run as root, so that every node gets one",
                )
            await _BY_KERNEL[self._mechanism][0](self._cluster.volume(node))
        return rule

    def _image(self, node: str) -> Path | None:
        return self._cluster.volume(node).image

    async def undo(self, action: Undo) -> Counts:
        """End; nodes that ended for it start again."""
        fault = action.fault_id
        full = self._full.pop(fault, ())
        others = {node for nodes in self._full.values() for node in nodes}
        for node in full:
            if node not in others:
                free_disk(self._cluster.volume(node).path)
        counts: Counts = {}
        deaf = self._by_kernel.pop(fault, ())
        for node in deaf:
            await self._mend(node, counts)
        for name, number in (await self._orders.undo(action)).items():
            counts[name] = counts.get(name, 0) + number
        await revive(self._cluster, deaf, action.startable, ())
        return counts

    async def _mend(self, node: str, counts: Counts) -> None:
        """Evidence of nodes that say nothing: threads that wait in the kernel, a process that ended by itself."""
        volume, pid = self._cluster.volume(node), self._cluster.pid(node)
        if self._mechanism == "disk.full":
            counts["write_errors"] = counts.get("write_errors", 0) + int(pid is None)
            return
        if self._mechanism == "disk.hang":
            counts["syncs_held"] = counts.get("syncs_held", 0) + (_waiting(pid) if pid is not None else 0)
        else:
            name = "write_errors" if self._mechanism == "disk.read-only" else "io_errors"
            counts[name] = counts.get(name, 0) + int(pid is None)
            await self._cluster.kill(node)
        end = _BY_KERNEL[self._mechanism][1]
        if end is None:
            await self._cluster.remount(node)
        else:
            await end(volume)

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """The nodes answer."""
        return answered(self._cluster, self._spoke, probe.nodes, since_ns)

    async def close(self) -> None:
        """No disk is full, none is frozen."""
        for nodes in self._full.values():
            for node in nodes:
                with suppress(OSError):
                    free_disk(self._cluster.volume(node).path)
        if self._mechanism == "disk.hang":
            for nodes in self._by_kernel.values():
                for node in nodes:
                    with suppress(OSError):
                        await _thaw(self._cluster.volume(node))
        await self._orders.close()


# ── what the kernel can do to an ext4 file system ────────────────────────────────────────────────────────────────────


def _reserve(mounted: Path) -> Path:
    """Where ext4 is told how many clusters it may give to nobody."""
    device = mounted.stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    return Path("/sys/fs/ext4") / name / "reserved_clusters"


def full_disk(mounted: Path) -> None:
    """No free block for anybody, root included; no file is needed for it. Raises OSError."""
    blocks = os.statvfs(mounted).f_blocks
    _reserve(mounted).write_text(f"{blocks - 1}\n", encoding="ascii")


def free_disk(mounted: Path) -> None:
    """As much as ext4 keeps back by itself: 2 % of the blocks, at most 4096 (ext4_calculate_resv_clusters)."""
    blocks = os.statvfs(mounted).f_blocks
    _reserve(mounted).write_text(f"{min(blocks // 50, 4096)}\n", encoding="ascii")


async def _shut(volume: Volume) -> None:
    shut_down(volume.path)


async def _abort(volume: Volume) -> None:
    """As after an error that ext4 met: read-only until it is mounted again. `remount,ro` wants no file open."""
    await run("mount", "-o", "remount,abort", str(volume.path))


async def _freeze(volume: Volume) -> None:
    _call(volume.path, _FIFREEZE)


async def _thaw(volume: Volume) -> None:
    _call(volume.path, _FITHAW)


def _call(mounted: Path, request: int) -> None:
    descriptor = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, request, 0)
    finally:
        os.close(descriptor)


def _waiting(pid: int) -> int:
    """Threads of a process that are in the disk."""
    with suppress(OSError):
        return sum(process_state(int(task.name)) == "D" for task in Path(f"/proc/{pid}/task").iterdir())
    return 0


_BY_KERNEL: Mapping[str, tuple[_Change, _Change | None]] = {
    "disk.error": (_shut, None),
    "disk.read-only": (_abort, None),
    "disk.hang": (_freeze, _thaw),
}
"""How it begins and ends; None: with another mount. Syncs that only take longer are beyond the kernel."""


def _maker(mechanism: str) -> Callable[[Cluster, Spoke, int], RealMechanism]:
    def make(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
        if obstacle() is None:
            load_shim(cluster, journal=False)
        return DiskFault(mechanism, cluster, spoke)

    return make


DISK_MECHANISMS = {
    name: _maker(name) for name in ("disk.full", "disk.error", "disk.read-only", "disk.slow", "disk.hang")
}
