"""`network.disturb`, `network.throttle` and `network.reset`: links between nodes that are bad, narrow or torn.

Packets of the pairs concerned are sent to a queue that the harness decides about (`traffic`, `nfqueue`), by rules of
the firewall where the bridge is; all others never leave the kernel. One queue for all three of a cluster: a packet
passes one queue only. The rules are not in the nodes' networks, so that they outlive nodes.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary

import trio

from histrio.environments.cluster import Cluster, Counts, RealMechanism, Spoke
from histrio.environments.mechanisms.commands import in_network, run_in_network
from histrio.environments.mechanisms.nfqueue import PacketQueue
from histrio.environments.mechanisms.traffic import Policy, Send, Traffic, Verdict
from histrio.errors import HarnessFailure
from nemesis.injector import Apply, Probe, Undo
from nemesis.settings import Disturbance, Setting, Throttle
from nemesis.shapes import Pair

__all__ = ["CHAIN_PREFIX", "TrafficMechanism", "disturb_links", "reset_connections", "throttle_links"]

CHAIN_PREFIX: Final = "HISTRIO-"
"""Of our chains in the table `filter`, by which leftovers are found."""
_NS = 1_000_000_000


def _now_ns() -> int:
    return int(trio.current_time() * _NS)


class _Switch:
    """The queue of one cluster, its rules, and the task that decides."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.traffic = Traffic(seed)
        self._cluster = cluster
        self._queue: PacketQueue | None = None
        self._opened = trio.Event()
        self._due = trio.Event()
        self._serving = False
        self._installed: tuple[Pair, ...] = ()
        self._lock = trio.Lock()

    # ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def install(self) -> None:
        """Send the packets of the pairs of `traffic` here, and of no others; all at once."""
        async with self._lock:
            pairs = self.traffic.pairs
            if pairs == self._installed:
                return
            if self._queue is None:
                self._queue = in_network(self._cluster.network_namespace, PacketQueue)
                await self._restore(f":{self._chain} - [0:0]\n-I FORWARD 1 -j {self._chain}\n")
                self._opened.set()
            target = f"-j NFQUEUE --queue-num {self._queue.number} --queue-bypass"
            rules = "".join(f"-A {self._chain} -s {source} -d {to} {target}\n" for source, to in pairs)
            await self._restore(f":{self._chain} - [0:0]\n{rules}")
            self._installed = pairs

    @property
    def _chain(self) -> str:
        assert self._queue is not None
        return f"{CHAIN_PREFIX}{self._queue.number}"

    async def _restore(self, rules: str) -> None:
        text = f"*filter\n{rules}COMMIT\n"
        await run_in_network(self._cluster.network_namespace, "iptables-restore", "-w", "--noflush", stdin=text)

    # ── packets ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Decide about packets until cancelled; a second call returns at once."""
        if self._serving:
            return
        self._serving = True
        await self._opened.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._let_go)
            await self._take_in()

    async def _take_in(self) -> None:
        assert self._queue is not None
        while True:
            await trio.lowlevel.wait_readable(self._queue.socket)
            now_ns = _now_ns()
            for packet, payload in self._queue.packets():
                self.traffic.arrived(now_ns, packet, payload)
            self._carry_out(self.traffic.due(now_ns))
            self._due.set()

    async def _let_go(self) -> None:
        """What was held back, when it is due."""
        while True:
            due_ns = self.traffic.next_ns
            with trio.move_on_at(math.inf if due_ns is None else due_ns / _NS):
                await self._due.wait()
                self._due = trio.Event()
            self._carry_out(self.traffic.due(_now_ns() + 1))

    def _carry_out(self, actions: list[Verdict | Send]) -> None:
        assert self._queue is not None
        for action in actions:
            match action:
                case Verdict():
                    with suppress(OSError):  # the kernel no longer has it: its node's link went down
                        self._queue.verdict(action.packet, accept=action.accept, payload=action.payload)
                case Send():
                    self._queue.send(action.payload)

    async def close(self) -> None:
        """No rules, no queue."""
        if self._queue is None:
            return
        self._carry_out(self.traffic.flush())
        chain, queue = self._chain, self._queue
        try:
            await self._restore(f"-D FORWARD -j {chain}\n-F {chain}\n-X {chain}\n")
        finally:
            self._queue = None
            queue.close()


_SWITCHES: WeakKeyDictionary[Cluster, _Switch] = WeakKeyDictionary()
"""A packet passes one queue only, so that the mechanisms of a cluster share it, whoever makes them."""


class TrafficMechanism:
    """One of the three."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        switch = _SWITCHES.get(cluster)
        if switch is None:
            switch = _SWITCHES[cluster] = _Switch(cluster, seed)
        self._switch, self._cluster = switch, cluster

    async def serve(self) -> None:
        """Decide about packets."""
        await self._switch.serve()

    async def apply(self, action: Apply) -> str:
        """Queue the packets of the pairs."""
        addresses = self._cluster.addresses
        pairs = [(addresses[source], addresses[target]) for source, target in action.pairs]
        policy, text = _policy(action.mechanism, action.setting)
        self._switch.traffic.add(action.fault.id, pairs, policy)
        await self._switch.install()
        return f"{text}: " + ", ".join(f"{source}>{target}" for source, target in action.pairs)

    async def undo(self, action: Undo) -> Counts:
        """Do nothing more to them; what was held back arrives when it is due."""
        return self._switch.traffic.remove(action.fault_id)

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """Some link carried a packet that nothing was done to. Followers rarely talk to each other: not all must."""
        carried, links = self._switch.traffic.carried(probe.fault_id)
        if not carried and links:
            return None
        self._switch.traffic.forget(probe.fault_id)
        await self._switch.install()
        return f"{carried} of {links} links carried a packet undisturbed"

    async def close(self) -> None:
        """No rules, no queue."""
        await self._switch.close()


def _policy(mechanism: str, setting: Setting | None) -> tuple[Policy, str]:
    match setting:
        case Disturbance():
            policy = Policy(
                loss=setting.loss,
                duplication=setting.duplication,
                reordering=setting.reordering,
                corruption=setting.corruption,
                silent=setting.silent,
                delay_min_ns=setting.delay_min_ns,
                delay_max_ns=setting.delay_max_ns,
            )
            return policy, "NFQUEUE, " + _words(setting)
        case Throttle():
            return Policy(bytes_per_second=setting.bytes_per_second), f"NFQUEUE, {setting.bytes_per_second} B/s"
        case None:
            return Policy(reset=True), "NFQUEUE, RST"
        case _:
            raise HarnessFailure(f"{mechanism} cannot use {setting!r}", why="it is of another mechanism")


def _words(setting: Disturbance) -> str:
    words = [
        f"{share:.0%} {name}"
        for name, share in (
            ("lost", setting.loss),
            ("repeated", setting.duplication),
            ("held back", setting.reordering),
            ("corrupted silently" if setting.silent else "corrupted", setting.corruption),
        )
        if share
    ]
    if setting.delay_max_ns:
        words.append(f"{setting.delay_min_ns / 1e6:g} to {setting.delay_max_ns / 1e6:g} ms late")
    return ", ".join(words)


def disturb_links(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`network.disturb`."""
    return TrafficMechanism(cluster, seed)


def throttle_links(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`network.throttle`."""
    return TrafficMechanism(cluster, seed)


def reset_connections(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`network.reset`."""
    return TrafficMechanism(cluster, seed)
