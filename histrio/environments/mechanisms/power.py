"""`process.power-loss` and `disk.tear`: a node ends and its disk keeps only what was synced, or parts of the rest.

A disk with a file system of its own loses power in earnest: the kernel is told to forget what it has not written. Else,
and where parts of writes are to stay, the undo journal of what is preloaded says what would have been lost. What was
lost is measured: the files before, as the node saw them, against the files after.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
from contextlib import suppress
from pathlib import Path
from random import Random

import trio

from histrio.environments.cluster import Cluster, Counts, RealMechanism, Spoke, Volume
from histrio.environments.mechanisms.nodes import answered, process_state, until
from histrio.environments.preload.build import obstacle
from histrio.environments.preload.install import journal_path, load_shim, page_of
from histrio.environments.preload.page import Count, Order
from histrio.environments.preload.undo import Lost, lose
from histrio.errors import HarnessFailure
from nemesis.injector import Apply, Probe, Undo
from nemesis.settings import PowerCut

__all__ = ["PowerLoss", "contents", "difference", "lose_power", "tear_writes"]

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_STOPPED_S = 2.0
_BLOCK_BYTES = 4096
_NS = 1_000_000_000


class PowerLoss:
    """Ends nodes, and what they did not sync; undoing starts those that nothing else holds down."""

    def __init__(self, cluster: Cluster, spoke: Spoke, seed: int, *, tears: bool) -> None:
        self._cluster, self._spoke, self._seed, self._tears = cluster, spoke, seed, tears
        self._counts: dict[str, Counts] = {}

    async def apply(self, action: Apply) -> str:
        """Stop the node, at once or with a write on its way, so that it sees nothing of what follows; end it."""
        waits = self._tears or (isinstance(action.setting, PowerCut) and action.setting.moment == "writing")
        counts = self._counts[action.fault.id] = {}
        rules: list[str] = []

        async def strike(node: str) -> None:
            await self._stop(node, action.fault.for_ns / 2 / _NS if waits else 0.0)
            rule = await self._cut(node, Random(f"{self._seed}/power/{action.fault.id}/{node}"), counts)
            rules.append(f"{node}: {rule}")

        async with trio.open_nursery() as nursery:
            for node in action.nodes:
                nursery.start_soon(strike, node)
        return "; ".join(sorted(rules)) or "nothing to do"

    async def _stop(self, node: str, waiting_s: float) -> None:
        page = page_of(self._cluster, node)
        pid = self._cluster.pid(node)
        if pid is None:
            return
        try:
            if page is not None and waiting_s > 0:
                before = page.count(Count.STOPS)
                page.order(Order.STOP_AT_SYNC, 1)
                await until(lambda: page.count(Count.STOPS) > before or self._cluster.pid(node) != pid, waiting_s)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            await until(lambda: process_state(pid) in ("T", "Z", ""), _STOPPED_S)
        finally:
            if page is not None:
                page.order(Order.STOP_AT_SYNC, 0)

    async def _cut(self, node: str, random: Random, counts: Counts) -> str:
        volume, before = self._cluster.volume(node), {}
        with suppress(OSError):  # a disk that fails cannot be read either
            before = await trio.to_thread.run_sync(contents, volume.path)
        if volume.image is None or self._tears:
            ended, lost = await self._cut_by_journal(node, volume, random)
            rule = "kill, unsynced writes taken back" + (" in part" if self._tears else "")
        else:
            shut_down(volume.path)
            ended = await self._cluster.kill(node)
            await self._cluster.remount(node)
            self._forget_journal(node)
            lost, rule = Lost(0, 0, 0), "EXT4_IOC_SHUTDOWN without flush, kill, remount"
        gone = await trio.to_thread.run_sync(lambda: difference(before, contents(volume.path)))
        found = {
            "processes_ended": int(ended),
            "unsynced_bytes_lost": gone,
            "unsynced_bytes_at_risk": max(gone, lost.bytes_lost),
            "bytes_torn": lost.bytes_torn,
        }
        for name, number in found.items():
            counts[name] = counts.get(name, 0) + number
        return rule

    async def _cut_by_journal(self, node: str, volume: Volume, random: Random) -> tuple[bool, Lost]:
        page = page_of(self._cluster, node)
        if page is None:
            raise HarnessFailure(
                f"{node} does not say what it syncs",
                why="its program does not load what is preloaded, and its disk is no file system of its own",
                fix="run as root, so that every node gets one",
            )
        ended = await self._cluster.kill(node)
        draw = (lambda sectors: random.randrange(sectors + 1)) if self._tears else None
        seen = self._cluster.as_seen(node, volume.path)
        lost = await trio.to_thread.run_sync(lose, journal_path(self._cluster, node), seen, volume.path, draw)
        page.forget_unsynced()
        return ended, lost

    def _forget_journal(self, node: str) -> None:
        """The kernel has taken back what the journal is about."""
        page = page_of(self._cluster, node)
        if page is not None:
            journal_path(self._cluster, node).unlink(missing_ok=True)
            page.forget_unsynced()

    async def undo(self, action: Undo) -> Counts:
        """Start them on what the disk kept."""
        async with trio.open_nursery() as nursery:
            for node in action.nodes:
                nursery.start_soon(self._cluster.start, node)
        return self._counts.pop(action.fault_id)

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """The nodes answer."""
        return answered(self._cluster, self._spoke, probe.nodes, since_ns)

    async def close(self) -> None:
        """Nothing stands."""


def shut_down(mounted: Path) -> None:
    """The file system forgets what is not on its disk, and fails every operation from now on. Raises OSError."""
    descriptor = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(descriptor)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below it, by name. Raises OSError."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}


def difference(before: dict[str, bytes], after: dict[str, bytes]) -> int:
    """Bytes of `before` that are not in `after`: missing or other bytes of each file."""
    return sum(_lost(data, after.get(name, b"")) for name, data in before.items())


def _lost(before: bytes, after: bytes) -> int:
    if after.startswith(before):
        return 0
    common = min(len(before), len(after))
    return _changed(before[:common], after[:common]) + len(before) - common


def _changed(before: bytes, after: bytes) -> int:
    """Bytes that differ. Block by block: a log of 16 MiB differs in a few hundred bytes, and Python counts slowly."""
    changed = 0
    for start in range(0, len(before), _BLOCK_BYTES):
        old, new = before[start : start + _BLOCK_BYTES], after[start : start + _BLOCK_BYTES]
        if old != new:
            changed += sum(a != b for a, b in zip(old, new, strict=True))
    return changed


def lose_power(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`process.power-loss`."""
    journal = any(cluster.volume(node).image is None for node in cluster.nodes)
    if journal or obstacle() is None:
        load_shim(cluster, journal=journal)
    return PowerLoss(cluster, spoke, seed, tears=False)


def tear_writes(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`disk.tear`."""
    load_shim(cluster, journal=True)
    return PowerLoss(cluster, spoke, seed, tears=True)
