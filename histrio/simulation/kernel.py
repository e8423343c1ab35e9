"""The simulation as its user sees it: one world of nodes, clients, links and disks, and one clock.

    simulation = Simulation(7, DEFAULT_PROFILE, event_budget=1_000_000, on_trace=recorder.trace)
    simulation.add_node("n1", factory)
    simulation.start("n1")
    simulation.run_until(60_000_000_000)

Everything random comes from streams named after the seed and the thing concerned, so the same calls give the same
run, and removing one fault leaves the rest of the world's luck alone. What a node does is the affair of `SimNode`,
what a client does that of the caller; faults are calls to `kill`, `pause`, `network.block` and their like.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from histrio.simulation.agenda import Agenda
from histrio.simulation.clients import Connection, OnDisconnect, OnPayload
from histrio.simulation.disk import Disk
from histrio.simulation.disk_rules import DiskRules
from histrio.simulation.errors import AlreadyExists, UnknownAddress
from histrio.simulation.network import Network
from histrio.simulation.node import Address, NodeFactory
from histrio.simulation.node_clock import NodeClock
from histrio.simulation.process import Exit, Host, KillReport, OnTrace, PauseReport
from histrio.simulation.profile import Profile

__all__ = ["Exit", "KillReport", "PauseReport", "Simulation", "Timer"]


class Timer:
    """A call that is due."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call. Harmless after the call."""
        self._callback = None

    def fire(self, _first: None, _second: None) -> None:
        """The time has come."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Simulation:
    """One simulated world. Times are integer nanoseconds from 0.

    `event_budget`: events after which `run_until` raises EventBudgetSpent. `on_trace` is called with the trace
    events of a flush before its sends; it may kill, pause, block and stop.
    """

    def __init__(self, seed: int, profile: Profile, *, event_budget: int, on_trace: OnTrace) -> None:
        self.exits: list[Exit] = []
        """Nodes that ended themselves, in order."""
        self._seed, self._profile, self._on_trace = seed, profile, on_trace
        self._agenda = Agenda(event_budget)
        self._hosts: dict[Address, Host] = {}
        self._connections: dict[Address, Connection] = {}
        self._connected: dict[Address, int] = {}
        self._up: tuple[Address, ...] | None = ()
        self.network = Network(seed, self._agenda, profile.links, self._host)

    @property
    def now_ns(self) -> int:
        """The simulated time."""
        return self._agenda.now_ns

    @property
    def events(self) -> int:
        """Events executed so far."""
        return self._agenda.events

    def trace_hash(self) -> str:
        """Hash of every event so far: time, kind, from, to, kind of payload. Equal hashes: equal runs."""
        return self._agenda.digest()

    def run_until(self, time_ns: int) -> None:
        """Execute all events up to `time_ns`. Raises EventBudgetSpent, and whatever a callback raises."""
        self._agenda.run_until(time_ns)

    def stop(self) -> None:
        """Make `run_until` return after the current event."""
        self._agenda.stop()

    def call_at(self, time_ns: int, callback: Callable[[], None]) -> Timer:
        """Call at `time_ns`; a time that is past means at once, after the events already due."""
        timer = Timer(callback)
        now_ns = self._agenda.now_ns
        self._agenda.push(time_ns if time_ns > now_ns else now_ns, "call", timer.fire, None, None)
        return timer

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_node(self, name: Address, factory: NodeFactory) -> None:
        """Add a node that is down and has an empty disk. Raises AlreadyExists."""
        if name in self._hosts:
            raise AlreadyExists(f"node {name!r} exists; give each node a name of its own")
        self._hosts[name] = Host(
            name,
            factory,
            seed=self._seed,
            agenda=self._agenda,
            network=self.network,
            profile=self._profile,
            on_trace=self._on_trace,
            on_change=self._changed,
            exits=self.exits,
        )

    def start(self, name: Address) -> None:
        """Begin the node's next incarnation, on the disk as it was left. Does nothing to a node up or starting."""
        self._host(name).start()

    def kill(self, name: Address, *, power_loss: bool) -> KillReport:
        """End the node at once. Without power loss the page cache survives; with it unsynced data may not."""
        return self._host(name).kill(power_loss=power_loss)

    def tear(self, name: Address) -> KillReport:
        """Cut the node's power in the middle of what it writes: each sector of an unsynced write is kept or lost."""
        return self._host(name).kill(power_loss=True, tear=True)

    def kill_writing(self, name: Address) -> KillReport:
        """End the node between a write, which took effect, and its sync, which did not."""
        return self._host(name).kill(power_loss=False, tear=True)

    def terminate(self, name: Address) -> KillReport:
        """End the node as one that was asked to: what it has begun to write, it writes."""
        return self._host(name).terminate()

    def pause(self, name: Address) -> None:
        """Stop the node as SIGSTOP does. Does nothing to a node that is down or stopped."""
        process = self._host(name).process
        if process is not None:
            self._agenda.note(f"pause {name}")
            process.pause()

    def resume(self, name: Address) -> PauseReport:
        """Let the node go on. All counts are zero when it was not stopped."""
        process = self._host(name).process
        if process is None:
            return PauseReport()
        self._agenda.note(f"resume {name}")
        return process.resume()

    @property
    def up(self) -> tuple[Address, ...]:
        """Nodes that are up, in the order in which they were added; the same object until one starts or ends."""
        if self._up is None:
            self._up = tuple([name for name, host in self._hosts.items() if host.process is not None])
        return self._up

    def is_up(self, name: Address) -> bool:
        """Started and not ended; a paused node is up, a starting one is not yet."""
        return self._host(name).process is not None

    def is_starting(self, name: Address) -> bool:
        """Asked to start and not up yet."""
        return self._host(name).is_starting

    def is_paused(self, name: Address) -> bool:
        """Up and stopped."""
        process = self._host(name).process
        return process is not None and process.is_paused

    def incarnation(self, name: Address) -> int:
        """Number of the incarnation that is up, starting, or was last; 0: never started."""
        return self._host(name).incarnation

    def disk(self, name: Address) -> Disk:
        """The node's disk, for collecting its files and for damaging them."""
        return self._host(name).disk

    # ── clocks and disks ─────────────────────────────────────────────────────────────────────────────────────────────

    def clock(self, name: Address) -> NodeClock:
        """The node's clock, for changing it."""
        return self._host(name).clock

    def timers_shifted(self, name: Address) -> int:
        """How many of the node's timers have come due at another true time than the node meant."""
        return self._host(name).timers_shifted

    def disk_rules(self, name: Address) -> DiskRules:
        """What is wrong with the node's disk, for changing it. Outlives the node's incarnations."""
        return self._host(name).disk_rules

    def hang_disk(self, name: Address, rule: str) -> None:
        """Let no sync of the node come back until the rule is released (`disk_rules`)."""
        host = self._host(name)
        self._agenda.note(f"hang {name}")
        host.disk_rules.hang(rule, host.process.syncs_pending if host.process else 0)

    def flip_bits(self, name: Address, rule: str, bits: int) -> int:
        """Flip bits of what the node has stored, as far as it could notice. Returns how many; see `Disk.flip`."""
        host = self._host(name)
        flipped = host.disk.flip(rule, bits, self.rule_random(rule, name))
        if flipped:
            host.disk_rules.damaged[rule] = None
        self._agenda.note(f"flip {flipped} {name}")
        return flipped

    def mend(self, name: Address, rule: str) -> None:
        """Put back the bytes that the rule has damaged. A node that runs on them keeps them: it took them for good."""
        host = self._host(name)
        host.disk_rules.damaged.pop(rule, None)
        self._agenda.note(f"mend {name}")
        if host.process is None:
            host.disk.mend(rule)
        else:
            host.disk.forget_damage(rule)

    def rule_random(self, rule: str, name: Address) -> Random:
        """The stream of what a rule draws on one node."""
        return Random(f"{self._seed}/rule/{rule}/{name}")

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, client: Address, node: Address, on_payload: OnPayload, on_disconnect: OnDisconnect) -> None:
        """Open a connection. Raises AlreadyExists when the client has one.

        A node that is down refuses at the first request: `on_disconnect(False)`, once, after a latency. The connection
        is closed when `on_disconnect` is called, so it may connect again.
        """
        if client in self._connections:
            raise AlreadyExists(f"client {client!r} has a connection; disconnect it first")
        host = self._host(node)
        self._connected[client] = number = self._connected.get(client, 0) + 1
        self._connections[client] = Connection(
            client,
            host,
            agenda=self._agenda,
            profile=self._profile.clients,
            stream=f"{self._seed}/client/{client}/{number}",
            on_payload=on_payload,
            on_disconnect=on_disconnect,
            on_broken=self._forget,
        )

    def request(self, client: Address, payload: Any) -> None:
        """Send to the node the client is connected to. Raises UnknownAddress without a connection."""
        self._connection(client).request(payload)

    def disconnect(self, client: Address) -> None:
        """Close the client's connection; its callbacks are not called any more. Raises UnknownAddress without one."""
        self._connection(client).close()
        self._forget(client)

    def is_connected(self, client: Address) -> bool:
        """Whether the client has a connection that it does not know to be broken."""
        return client in self._connections

    def _changed(self) -> None:
        self._up = None

    def _forget(self, client: Address) -> None:
        del self._connections[client]

    def _connection(self, client: Address) -> Connection:
        connection = self._connections.get(client)
        if connection is None:
            raise UnknownAddress(f"client {client!r} has no connection; connect it (again) first")
        return connection

    def _host(self, name: Address) -> Host:
        host = self._hosts.get(name)
        if host is None:
            raise UnknownAddress(f"no node {name!r}; there are {', '.join(self._hosts) or 'none'}")
        return host
