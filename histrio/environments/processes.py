"""The life of nodes as processes, whatever they run in: what `local` and `docker` have in common.

Here belong starting, ending and noticing the end, one thing at a time for each node; how a process comes into being,
and what is known of its end, is the part of each cluster.
"""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import trio

from histrio.environments.cluster import Exit, Volume
from histrio.environments.volumes import remount
from histrio.errors import HarnessFailure
from histrio.systems.system import Launch

__all__ = ["NodeProcesses"]

_STOP_S = 5.0
_GONE_S = 20.0  # longer than a fault that keeps a process from dying, as a frozen disk does


class NodeProcesses(ABC):
    """The half of `Cluster` that is the same for all. Volumes and launches are there before the first start."""

    def __init__(
        self,
        nodes: tuple[str, ...],
        folder: Path,
        *,
        now_ns: Callable[[], int],
        on_exit: Callable[[Exit], None],
        nursery: trio.Nursery,
    ) -> None:
        """folder: each node has a folder of its name in it."""
        self.preloadable = True
        """Until a system that says otherwise is created in it."""
        self._nodes, self._folder = nodes, folder
        self._now_ns, self._on_exit, self._nursery = now_ns, on_exit, nursery
        self._volumes: dict[str, Volume] = {}
        self._launches: dict[str, Launch] = {}
        self._environs: dict[str, Mapping[str, str]] = {}
        self._pids: dict[str, int] = {}
        self._gone: dict[str, trio.Event] = {}
        self._watches: dict[str, trio.CancelScope] = {}
        self._planned: set[str] = set()
        self._incarnations = dict.fromkeys(nodes, 0)
        self._locks = {node: trio.Lock() for node in nodes}

    # ── what each cluster adds ───────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def _spawn(self, node: str, launch: Launch, environ: Mapping[str, str]) -> int:
        """Start its process; returns its id, 0 if it has ended already."""

    @abstractmethod
    async def _reason(self, node: str) -> str:
        """Once it is gone: how it ended, with the last thing it said, as in `Exit`. May wait until that is known."""

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names, in order."""
        return self._nodes

    @property
    def running(self) -> tuple[str, ...]:
        """Nodes whose process exists, in order."""
        return tuple(node for node in self._nodes if node in self._pids)

    def pid(self, node: str) -> int | None:
        """Its process, as this one can signal it; None: it is down."""
        return self._pids.get(node)

    def incarnation(self, node: str) -> int:
        """How often it has been started."""
        return self._incarnations[node]

    def volume(self, node: str) -> Volume:
        """The disk of its data."""
        return self._volumes[node]

    def records(self, node: str) -> Path:
        """The folder of its configuration, trace and logs, on this machine."""
        return self._folder / node / "records"

    def trace(self, node: str) -> Path | None:
        """The file it appends its trace to, on this machine."""
        name = self._launches[node].trace
        return None if name is None else self.records(node) / name

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_environ(self, node: str, environ: Mapping[str, str]) -> None:
        """Variables for its next starts."""
        self._environs[node] = dict(environ)

    async def start(self, node: str) -> None:
        """Start its process; returns when it exists."""
        async with self._locks[node]:
            if node in self._pids:
                return
            launch = self._launches[node]
            for name, text in launch.files.items():
                (self.records(node) / name).write_text(text, encoding="utf-8")
            self._planned.discard(node)
            pid = await self._spawn(node, launch, {**launch.environ, **self._environs.get(node, {})})
            self._pids[node] = pid
            self._incarnations[node] += 1
            gone = self._gone[node] = trio.Event()
            self._nursery.start_soon(self._watch, node, _descriptor(pid), gone)

    async def _watch(self, node: str, descriptor: int | None, gone: trio.Event) -> None:
        """Until it is gone, also while all else is being cancelled: cleaning up waits for it."""
        with trio.CancelScope(shield=True) as scope:
            self._watches[node] = scope
            if descriptor is not None:
                try:
                    await trio.lowlevel.wait_readable(descriptor)
                finally:
                    os.close(descriptor)
            time_ns = self._now_ns()
            reason = await self._reason(node)
            del self._pids[node]
            planned = node in self._planned
            self._on_exit(Exit(node, time_ns, "ended by the harness" if planned else reason, planned))
            gone.set()

    def _stop_watching(self) -> None:
        for watch in self._watches.values():
            watch.cancel()

    async def kill(self, node: str) -> bool:
        """SIGKILL; returns when the process is gone."""
        async with self._locks[node]:
            return await self._end(node, signal.SIGKILL)

    async def terminate(self, node: str) -> bool:
        """SIGTERM; after 5 s SIGKILL."""
        async with self._locks[node]:
            with trio.move_on_after(_STOP_S):
                return await self._end(node, signal.SIGTERM)
            return await self._end(node, signal.SIGKILL) or True

    async def _end(self, node: str, sign: signal.Signals) -> bool:
        pid = self._pids.get(node)
        if pid is None:
            return False
        self._planned.add(node)
        if pid:
            os.kill(pid, sign)
        with trio.move_on_after(_GONE_S):
            await self._gone[node].wait()
            return True
        raise HarnessFailure(f"{node} does not end {_GONE_S:g} s after {sign.name}", why="its disk may be frozen")

    async def remount(self, node: str) -> None:
        """As at a boot; the node must be down."""
        async with self._locks[node]:
            assert node not in self._pids, f"{node} runs: its mount would go on"
            await remount(self._volumes[node])


def _descriptor(pid: int) -> int | None:
    """Readable once the process has ended; None: it has."""
    try:
        return os.pidfd_open(pid) if pid else None
    except ProcessLookupError:
        return None
