"""The mechanisms of real worlds that need nothing but processes and packets: the same for `local` and `docker`.

One class a mechanism. Each gives evidence by what it destroyed or held up (packets that a rule dropped, processes that
ended, input that nobody read), never by having been switched on, and looks for the end of the consequence itself. Which
of them a machine can do is said by `OBSTACLES`.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import trio

from histrio.environments.cluster import Cluster, Counts, RealMechanism, RealMechanismFactory, Spoke
from histrio.environments.namespaces import tool
from histrio.errors import HarnessFailure
from nemesis.injector import Apply, Probe, Undo

__all__ = ["OBSTACLES", "REAL_MECHANISMS"]

_NFT_S = 20.0
_TABLE = "histrio-"
_BEFORE, _DROP, _AFTER = -310, -300, -290
"""Order of hooks: counting what comes, dropping, counting what is left. Faults that overlap all see every packet."""
_PLAIN = "{ type ipv4_addr . ipv4_addr; }"
_COUNTING = "{ type ipv4_addr . ipv4_addr; counter; }"
"""Sets of directed pairs; the second counts packets for each."""

Pair = tuple[str, str]


class BlockLinks:
    """`network.block`: drops IP packets on the directed pairs of the fault, where the bridge forwards them.

    Every fault has a table of its own, changed in one transaction for the whole cluster, so that faults overlap without
    knowing of each other, and a node that starts anew meets the same rules.
    """

    def __init__(self, cluster: Cluster, spoke: Spoke, seed: int) -> None:
        self._cluster = cluster
        self._tables: set[str] = set()
        """Faults that have one."""
        self._blocked: dict[str, tuple[Pair, ...]] = {}
        self._pairs: dict[str, dict[Pair, None]] = {}
        """All that a fault has ever blocked."""
        self._dropped: dict[str, int] = {}

    async def apply(self, action: Apply) -> str:
        """A second time for the same fault: other pairs, and the counts go on."""
        fault, pairs = action.fault.id, action.pairs
        if fault in self._tables:
            self._dropped[fault] += await self._packets(fault, "dropped")
            await self._nft(f"flush set bridge {_TABLE}{fault} dropped", *self._drop(fault, pairs))
        else:
            await self._nft(
                f"add table bridge {_TABLE}{fault}",
                f"add set bridge {_TABLE}{fault} dropped {_COUNTING}",
                f"add set bridge {_TABLE}{fault} cut {_PLAIN}",
                self._chain(fault, "arriving", _BEFORE),
                self._chain(fault, "cutting", _DROP),
                f"add rule bridge {_TABLE}{fault} arriving ip saddr . ip daddr @dropped",
                f"add rule bridge {_TABLE}{fault} cutting ip saddr . ip daddr @cut drop",
                *self._drop(fault, pairs),
            )
            self._tables.add(fault)
        self._dropped.setdefault(fault, 0)
        self._blocked[fault] = pairs
        self._pairs.setdefault(fault, {}).update(dict.fromkeys(pairs))
        return "drop " + ", ".join(f"{source}>{target}" for source, target in pairs)

    def _drop(self, fault: str, pairs: Iterable[Pair]) -> tuple[str, ...]:
        """What is to be dropped from now on."""
        flush = f"flush set bridge {_TABLE}{fault} cut"
        return (flush, *self._add(fault, "cut", pairs), *self._add(fault, "dropped", pairs))

    async def undo(self, action: Undo) -> Counts:
        fault = action.fault_id
        dropped = self._dropped[fault] + await self._packets(fault, "dropped")
        await self._nft(
            f"delete chain bridge {_TABLE}{fault} cutting",
            f"delete chain bridge {_TABLE}{fault} arriving",
            f"add set bridge {_TABLE}{fault} carried {_COUNTING}",
            self._chain(fault, "passing", _AFTER),
            f"add rule bridge {_TABLE}{fault} passing ip saddr . ip daddr @carried",
            *self._add(fault, "carried", self._pairs[fault]),
        )
        del self._blocked[fault]
        return {"packets_dropped": dropped}

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """No rule blocks any of the links, and one has carried a packet: followers rarely talk to each other."""
        fault = probe.fault_id
        pairs = self._pairs[fault]
        if any(pair in pairs for blocked in self._blocked.values() for pair in blocked):
            return None
        carried = await self._carrying(fault)
        if not carried:
            return None
        await self._nft(f"delete table bridge {_TABLE}{fault}")
        self._tables.discard(fault)
        return f"{carried} of {len(pairs)} links carried a packet, none is blocked"

    async def close(self) -> None:
        if self._tables:
            await self._nft(*(f"delete table bridge {_TABLE}{fault}" for fault in sorted(self._tables)))
            self._tables.clear()

    def _add(self, fault: str, name: str, pairs: Iterable[Pair]) -> tuple[str, ...]:
        addresses = self._cluster.addresses
        elements = ", ".join(f"{addresses[source]} . {addresses[target]}" for source, target in pairs)
        return (f"add element bridge {_TABLE}{fault} {name} {{ {elements} }}",) if elements else ()

    def _chain(self, fault: str, name: str, priority: int) -> str:
        hook = f"type filter hook forward priority {priority};"
        return f"add chain bridge {_TABLE}{fault} {name} {{ {hook} }}"

    async def _packets(self, fault: str, name: str) -> int:
        """What a set has counted."""
        return sum(await self._counters(fault, name))

    async def _carrying(self, fault: str) -> int:
        """Links that have carried a packet since the fault was undone."""
        return sum(packets > 0 for packets in await self._counters(fault, "carried"))

    async def _counters(self, fault: str, name: str) -> list[int]:
        listed = json.loads(await self._call("-j", "list", "set", "bridge", f"{_TABLE}{fault}", name))
        (found,) = [entry["set"] for entry in listed["nftables"] if "set" in entry]
        return [element["elem"]["counter"]["packets"] for element in found.get("elem", [])]

    async def _nft(self, *lines: str) -> None:
        """One transaction."""
        await self._call("-f", "-", text="".join(f"{line}\n" for line in lines))

    async def _call(self, *arguments: str, text: str = "") -> str:
        nft = tool("nft")
        assert nft is not None, "planning refuses partitions without it"
        command = [nft, *arguments]
        if self._cluster.network_namespace is not None:
            nsenter = tool("nsenter")
            assert nsenter is not None, "it comes with unshare"
            command = [nsenter, f"--net={self._cluster.network_namespace}", *command]
        with trio.fail_after(_NFT_S):
            done = await trio.run_process(
                command, stdin=text.encode(), capture_stdout=True, capture_stderr=True, check=False
            )
        if done.returncode != 0:
            complaint = done.stderr.decode(errors="replace").strip()
            raise HarnessFailure(f"nft refused: {text or ' '.join(arguments)}", why=complaint)
        return done.stdout.decode()


class EndProcesses:
    """`process.kill` and `process.terminate`: ends nodes; undoing starts those nothing else holds down."""

    def __init__(self, cluster: Cluster, spoke: Spoke, sign: signal.Signals) -> None:
        self._cluster, self._spoke, self._sign = cluster, spoke, sign
        self._ended: dict[str, int] = {}

    async def apply(self, action: Apply) -> str:
        self._ended[action.fault.id] = 0
        async with trio.open_nursery() as nursery:
            for node in action.nodes:
                nursery.start_soon(self._end, action.fault.id, node)
        return f"{self._sign.name} {' '.join(action.nodes)}"

    async def _end(self, fault: str, node: str) -> None:
        end = self._cluster.kill if self._sign is signal.SIGKILL else self._cluster.terminate
        if await end(node):
            self._ended[fault] += 1

    async def undo(self, action: Undo) -> Counts:
        async with trio.open_nursery() as nursery:
            for node in action.nodes:
                nursery.start_soon(self._cluster.start, node)
        return {"processes_ended": self._ended.pop(action.fault_id, 0)}

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        if not all(self._spoke(node) > since_ns for node in probe.nodes):
            return None
        return ", ".join(f"{node} reported as incarnation {self._cluster.incarnation(node)}" for node in probe.nodes)

    async def close(self) -> None:
        pass  # the cluster ends with its processes


class PauseProcesses:
    """`process.pause`: SIGSTOP. The kernel still takes connections and data for a process that stands still."""

    def __init__(self, cluster: Cluster, spoke: Spoke, seed: int) -> None:
        self._cluster, self._spoke = cluster, spoke
        self._stopped: dict[str, dict[str, int]] = {}
        """Fault -> the nodes it stopped, with their processes."""

    async def apply(self, action: Apply) -> str:
        stopped = self._stopped[action.fault.id] = {}
        for node in action.nodes:
            pid = self._cluster.pid(node)
            if pid is not None and _signalled(pid, signal.SIGSTOP):
                stopped[node] = pid
        return "SIGSTOP " + " ".join(action.nodes)

    async def undo(self, action: Undo) -> Counts:
        """What waits to be read is counted in the sockets of the network that the node is in."""
        still = {
            node: pid
            for node, pid in self._stopped.pop(action.fault_id, {}).items()
            if self._cluster.pid(node) == pid and _state(pid) == "T"
        }
        held = sum(_unread_sockets(pid) for pid in still.values())
        for node in action.nodes:
            pid = self._cluster.pid(node)
            if pid is not None:
                _signalled(pid, signal.SIGCONT)
        return {"inputs_held": held, "processes_stopped": len(still)}

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        if not all(self._spoke(node) > since_ns for node in probe.nodes):
            return None
        return f"{', '.join(probe.nodes)} reported again"

    async def close(self) -> None:
        for node in self._cluster.running:
            pid = self._cluster.pid(node)
            if pid is not None:
                _signalled(pid, signal.SIGCONT)


def _signalled(pid: int, sign: signal.Signals) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, sign)
        return True
    return False


def _state(pid: int) -> str:
    """As in /proc: `T` is stopped; empty: gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _unread_sockets(pid: int) -> int:
    """TCP sockets in the process's network, listening ones too, in which something waits for it."""
    rows: list[str] = []
    for protocol in ("tcp", "tcp6"):
        with suppress(OSError):
            rows += Path(f"/proc/{pid}/net/{protocol}").read_text(encoding="ascii").splitlines()[1:]
    return sum(int(row.split()[4].partition(":")[2], 16) > 0 for row in rows)


def _kill(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    return EndProcesses(cluster, spoke, signal.SIGKILL)


def _terminate(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    return EndProcesses(cluster, spoke, signal.SIGTERM)


def _without_nft() -> str | None:
    return None if tool("nft") is not None else "the command nft is not installed: install nftables"


REAL_MECHANISMS: Mapping[str, RealMechanismFactory] = {
    "network.block": BlockLinks,
    "process.kill": _kill,
    "process.terminate": _terminate,
    "process.pause": PauseProcesses,
}

OBSTACLES: Mapping[str, Callable[[], str | None]] = {"network.block": _without_nft}
"""Mechanism -> finds out why this machine cannot do it; None: it can. Those without an entry need nothing."""
