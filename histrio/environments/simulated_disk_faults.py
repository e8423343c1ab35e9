"""Mechanisms of the simulator that act on disks: operations that fail or take long, bytes that are not what was stored.

A node may end itself for it; undoing mends the disk and starts a node that is down and that nothing else holds down.
Damage is put where the node can notice it, which is explained at `histrio.simulation.disk.Disk.vouch`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from functools import partial

from histrio.environments.simulated_mechanism import Counts, MechanismFactory, Spoke, reported_again
from histrio.environments.simulated_process_faults import CutPower
from histrio.simulation.disk_rules import Failing, Misdirection, SlowSyncs
from histrio.simulation.kernel import Simulation
from nemesis import settings
from nemesis.injector import Apply, Probe, Undo
from raft_trio.files import FileOp, ListDir, Pwrite, Read, Rename, Sync, SyncDir, Truncate, Unlink

__all__ = ["DISK_MECHANISMS", "CutFiles", "FailOperations", "FlipBits", "HangSyncs", "MisdirectWrites", "SlowDisk"]

NOTICED_NS = 20_000_000  # from a misdirected write to the restart that meets it: the node relies on it meanwhile


class _OnDisks:
    """Keeps which nodes a fault is on, and starts at its end those that ended for it."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        self._simulation, self._spoke = simulation, spoke
        self._ended_before: dict[str, dict[str, int]] = {}

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return reported_again(self._spoke, probe, since_ns)

    def _begin(self, action: Apply) -> None:
        self._ended_before[action.fault.id] = {
            node: self._simulation.disk_rules(node).nodes_ended for node in action.nodes
        }

    def _nodes(self, fault_id: str) -> tuple[str, ...]:
        return tuple(self._ended_before[fault_id])

    def _finish(self, action: Undo) -> Counts:
        before = self._ended_before.pop(action.fault_id)
        for node in action.startable:
            self._simulation.start(node)
        rules = self._simulation.disk_rules
        return {"nodes_ended": sum([rules(node).nodes_ended - count for node, count in before.items()])}


_CHANGES: tuple[type[FileOp], ...] = (Pwrite, Truncate, Rename, Unlink)


class FailOperations(_OnDisks):
    """`disk.full`, `disk.read-only` and `disk.error`: operations fail with an error of the system's."""

    def __init__(
        self,
        simulation: Simulation,
        spoke: Spoke,
        *,
        code: int,
        count: str,
        failing: Callable[[Apply], tuple[type[FileOp], ...]],
    ) -> None:
        super().__init__(simulation, spoke)
        self._code, self._count, self._failing = code, count, failing

    def apply(self, action: Apply) -> str:
        self._begin(action)
        operations = self._failing(action)
        for node in action.nodes:
            self._simulation.disk_rules(node).failing[action.fault.id] = Failing(operations, self._code)
        names = ", ".join(operation.__name__.lower() for operation in operations)
        return f"{errno.errorcode[self._code]} for {names} on {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        rules = [
            self._simulation.disk_rules(node).failing.pop(action.fault_id) for node in self._nodes(action.fault_id)
        ]
        return {self._count: sum([rule.count for rule in rules])} | self._finish(action)


class SlowDisk(_OnDisks):
    """`disk.slow`: every sync takes longer."""

    def apply(self, action: Apply) -> str:
        assert isinstance(action.setting, settings.SlowSyncs)
        self._begin(action)
        for node in action.nodes:
            self._simulation.disk_rules(node).slow[action.fault.id] = SlowSyncs(action.setting.delay_ns)
        return f"{action.setting.delay_ns // 1_000_000} ms more for each sync on {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        rules = [self._simulation.disk_rules(node).slow.pop(action.fault_id) for node in self._nodes(action.fault_id)]
        return {"syncs_delayed": sum([rule.count for rule in rules])} | self._finish(action)


class HangSyncs(_OnDisks):
    """`disk.hang`: no sync comes back."""

    def apply(self, action: Apply) -> str:
        self._begin(action)
        for node in action.nodes:
            self._simulation.hang_disk(node, action.fault.id)
        return f"hold all syncs on {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        nodes = self._nodes(action.fault_id)
        rules = [self._simulation.disk_rules(node).release(action.fault_id) for node in nodes]
        return {"syncs_held": sum([rule.count for rule in rules])} | self._finish(action)


class FlipBits(_OnDisks):
    """`disk.flip`: bits flip while the node is down; it is started on them at once, unless something holds it down."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        super().__init__(simulation, spoke)
        self._flipped: dict[str, int] = {}

    def apply(self, action: Apply) -> str:
        assert isinstance(action.setting, settings.BitFlips)
        self._begin(action)
        flipped = 0
        for node in action.nodes:
            was_up = self._simulation.is_up(node)
            self._simulation.kill(node, power_loss=False)
            flipped += self._simulation.flip_bits(node, action.fault.id, action.setting.bits)
            if was_up:
                self._simulation.start(node)
        self._flipped[action.fault.id] = flipped
        return f"SIGKILL, flip {flipped} bits and start {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        for node in self._nodes(action.fault_id):
            self._simulation.mend(node, action.fault_id)
        return {"bits_flipped": self._flipped.pop(action.fault_id)} | self._finish(action)


class CutFiles(_OnDisks):
    """`disk.truncate`: what was written and not synced is cut off while the node is down; it is started at once."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        super().__init__(simulation, spoke)
        self._cut: dict[str, int] = {}
        self._cancels: dict[str, list[Callable[[], None]]] = {}

    def apply(self, action: Apply) -> str:
        assert isinstance(action.setting, settings.Truncation)
        self._begin(action)
        fault_id, bytes_max = action.fault.id, action.setting.bytes_max
        self._cut[fault_id], self._cancels[fault_id] = 0, []
        for node in action.nodes:
            writing = partial(self._write_begins, fault_id, node, bytes_max)
            self._cancels[fault_id].append(self._simulation.disk_rules(node).call_at_write(writing))
        return f"SIGKILL in a write, cut up to {bytes_max} bytes and start {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        for cancel in self._cancels.pop(action.fault_id):
            cancel()
        return {"bytes_truncated": self._cut.pop(action.fault_id)} | self._finish(action)

    def _write_begins(self, fault_id: str, node: str, bytes_max: int, duration_ns: int) -> None:
        due_ns = self._simulation.now_ns + duration_ns // 2
        timer = self._simulation.call_at(due_ns, partial(self._kill, fault_id, node, bytes_max))
        self._cancels[fault_id].append(timer.cancel)

    def _kill(self, fault_id: str, node: str, bytes_max: int) -> None:
        if self._simulation.is_up(node):
            self._simulation.kill_writing(node)
            self._cut[fault_id] += self._simulation.disk(node).cut_off(bytes_max)
            self._simulation.start(node)


class MisdirectWrites(_OnDisks):
    """`disk.misdirect`: one write lands elsewhere; a little later the node is killed and started, and so meets it."""

    def apply(self, action: Apply) -> str:
        self._begin(action)
        simulation, fault_id = self._simulation, action.fault.id
        for node in action.nodes:
            simulation.disk_rules(node).misdirecting[fault_id] = Misdirection(
                simulation.rule_random(fault_id, node), partial(self._misdirected, node)
            )
        return f"write elsewhere, SIGKILL and start {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        nodes = self._nodes(action.fault_id)
        rules = [self._simulation.disk_rules(node).misdirecting.pop(action.fault_id) for node in nodes]
        for node in nodes:
            self._simulation.mend(node, action.fault_id)
        return {"writes_misdirected": sum([rule.count for rule in rules])} | self._finish(action)

    def _misdirected(self, node: str) -> None:
        self._simulation.call_at(self._simulation.now_ns + NOTICED_NS, partial(self._restart, node))

    def _restart(self, node: str) -> None:
        if self._simulation.is_up(node):
            self._simulation.kill(node, power_loss=False)
            self._simulation.start(node)


def _full(simulation: Simulation, spoke: Spoke) -> FailOperations:
    return FailOperations(simulation, spoke, code=errno.ENOSPC, count="write_errors", failing=lambda _: (Pwrite,))


def _read_only(simulation: Simulation, spoke: Spoke) -> FailOperations:
    return FailOperations(simulation, spoke, code=errno.EROFS, count="write_errors", failing=lambda _: _CHANGES)


def _error(simulation: Simulation, spoke: Spoke) -> FailOperations:
    return FailOperations(simulation, spoke, code=errno.EIO, count="io_errors", failing=_failing_with_eio)


def _failing_with_eio(action: Apply) -> tuple[type[FileOp], ...]:
    assert isinstance(action.setting, settings.DiskErrors)
    match action.setting.operations:
        case "write":
            return _CHANGES
        case "sync":
            return (Sync, SyncDir)
        case "any":
            return (*_CHANGES, Sync, SyncDir, Read, ListDir)


def _tear(simulation: Simulation, spoke: Spoke) -> CutPower:
    return CutPower(simulation, spoke, call="tear writes and cut the power of", cut=simulation.tear)


DISK_MECHANISMS: Mapping[str, MechanismFactory] = {
    "disk.full": _full,
    "disk.error": _error,
    "disk.read-only": _read_only,
    "disk.slow": SlowDisk,
    "disk.hang": HangSyncs,
    "disk.tear": _tear,
    "disk.flip": FlipBits,
    "disk.truncate": CutFiles,
    "disk.misdirect": MisdirectWrites,
}
"""Name in the nemesis registry -> mechanism."""
