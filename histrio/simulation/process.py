"""Nodes as processes: what a node is across its incarnations, and one incarnation at work.

A process is idle, or has a flush ahead of it. Inputs that come before the flush are worked on in it; after it the
processor is busy for a while. So batches grow with the load. A paused process (SIGSTOP) collects inputs and does
nothing; a dead one is forgotten, with all it held in memory.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import PurePath
from random import Random
from typing import Any, Protocol

from histrio.simulation.agenda import Agenda
from histrio.simulation.batches import BatchQueue
from histrio.simulation.disk import Disk, DiskLoss
from histrio.simulation.disk_rules import DiskRules
from histrio.simulation.errors import SimulationError, UnknownAddress
from histrio.simulation.links import Link
from histrio.simulation.network import Network
from histrio.simulation.node import Address, Effects, NodeFactory, SimNode
from histrio.simulation.node_clock import NodeClock
from histrio.simulation.profile import Profile
from histrio.simulation.reports import Exit, KillReport, PauseReport
from raft_trio.files import FileOp, FileResult

__all__ = ["Exit", "Host", "KillReport", "OnTrace", "PauseReport", "Peer", "Process"]

OnTrace = Callable[[Address, int, int, int, Sequence[Any]], None]
"""(node, incarnation, number of the first event from 1 within the incarnation, simulated time in ns, events)"""

_FRAMES_IN_REASON = 4


class Peer(Protocol):
    """The node's end of a client's connection."""

    def reply(self, payload: Any, kind: str) -> None:
        """Send to the client."""
        ...

    def lost_node(self) -> None:
        """The process at this end is gone."""
        ...


class Host:
    """One node across its incarnations: its name, its disk, and the process that is up, if any."""

    def __init__(
        self,
        name: Address,
        factory: NodeFactory,
        *,
        seed: int,
        agenda: Agenda,
        network: Network,
        profile: Profile,
        on_trace: OnTrace,
        on_change: Callable[[], None],
        exits: list[Exit],
    ) -> None:
        """`on_change` is called when the process has begun or ended."""
        self.name, self.agenda, self.network, self.profile, self.on_trace = name, agenda, network, profile, on_trace
        self.disk_rules = DiskRules(self._disk_released)
        self.disk = Disk(self.disk_rules)
        self.timers_shifted = 0
        self.disk_rng = Random(f"{seed}/disk/{name}")
        self.process: Process | None = None
        self.incarnation = 0
        self._factory, self._seed, self._exits, self._on_change = factory, seed, exits, on_change
        self._restart_rng = Random(f"{seed}/process/{name}")
        self._booting = False
        self._clock: NodeClock | None = None

    @property
    def now_ns(self) -> int:
        """What the node's clock shows."""
        return self.agenda.now_ns if self._clock is None else self._clock.now_ns()

    @property
    def clock(self) -> NodeClock:
        """The node's clock. Without faults of clocks nobody asks, and it is the simulation's."""
        if self._clock is None:
            self._clock = NodeClock(self.name, self.agenda, self._clock_changed)
        return self._clock

    def is_earlier(self, local_ns: int, true_ns: int) -> bool:
        """Whether the node's clock shows `local_ns` before `true_ns`."""
        return (local_ns if self._clock is None else self._clock.due_ns(local_ns)) < true_ns

    def due_ns(self, local_ns: int) -> int:
        """The true time at which the node's clock will show `local_ns`."""
        if self._clock is None:
            return local_ns
        self.timers_shifted += not self._clock.is_true
        return self._clock.due_ns(local_ns)

    @property
    def is_starting(self) -> bool:
        """Asked to start, and not up yet."""
        return self._booting

    def start(self) -> None:
        """Begin a new incarnation after the restart latency. Does nothing while one is up or starting."""
        if self.process is not None or self._booting:
            return
        self._booting = True
        self.incarnation += 1
        profile = self.profile.processes
        span = profile.restart_max_ns - profile.restart_min_ns
        due = self.agenda.now_ns + profile.restart_min_ns + int(self._restart_rng.random() * span)
        self.agenda.push(due, f"start {self.name}", self._boot, self.incarnation, None)

    def kill(self, *, power_loss: bool, tear: bool = False) -> KillReport:
        """End the process at once. Power loss loses unsynced data even of a node that is down.

        tear: what is being written reaches the disk in part, each sector on its own account.
        """
        self.agenda.note(f"{'power-loss' if power_loss else 'kill'} {self.name}")
        crash_rng = Random(f"{self._seed}/disk/{self.name}/crash/{self.incarnation}")
        ended = int(self.process is not None or self._booting)
        process, self.process, self._booting = self.process, None, False
        self._on_change()
        at_risk = 0 if process is None else process.bytes_being_written
        inputs, batches, connections = (0, 0, 0) if process is None else process.end(crash_rng, tear=tear)
        at_risk = max(at_risk, self.disk.unsynced_bytes)
        loss = self.disk.power_loss(crash_rng, tear=tear) if power_loss else DiskLoss()
        return KillReport(
            incarnation=self.incarnation,
            processes_ended=ended,
            inputs_lost=inputs,
            batches_lost=batches,
            connections_broken=connections,
            unsynced_bytes_at_risk=at_risk if power_loss else 0,
            unsynced_bytes_lost=loss.bytes_lost,
            writes_lost=loss.writes_lost,
            writes_torn=loss.writes_torn,
            bytes_torn=loss.bytes_torn,
            truncations_lost=loss.truncations_lost,
            names_lost=loss.names_lost,
        )

    def terminate(self) -> KillReport:
        """End the process as one that was asked to: what it has begun to write, it writes."""
        if self.process is not None:
            self.process.finish_writing()
        return self.kill(power_loss=False)

    def exited(self, reason: str, *, decided: bool = False) -> None:
        """The process ended itself; `decided`: and said so, as against an exception that nobody caught.

        One that ended for a disk that works again by now is started by whoever looks after it.
        """
        rules = self.disk_rules
        at_fault = decided and (rules.failed or bool(rules.damaged))
        self._exits.append(Exit(self.name, self.agenda.now_ns, reason, at_fault))
        self.agenda.note(f"exit {self.name}")
        self.kill(power_loss=False)
        if at_fault:
            rules.nodes_ended += 1
            if not rules.can_end_a_node:
                self.start()

    def _clock_changed(self) -> None:
        if self.process is not None:
            self.timers_shifted += self.process.set_timer_anew()

    def _disk_released(self) -> None:
        if self.process is not None:
            self.process.disk_released()

    def _boot(self, incarnation: int, _: None) -> None:
        if not self._booting or incarnation != self.incarnation:
            return  # killed while starting
        self._booting = False
        self.disk_rules.failed = False
        try:
            node = self._factory(self.name, incarnation)
        except Exception as error:
            self.exited(_explain(error))
            return
        self.process = Process(self, node, incarnation)
        self._on_change()
        self.process.start()


class Process:
    """One incarnation of a node."""

    __slots__ = (
        "_agenda",
        "_alive",
        "_batches",
        "_deliver",
        "_flush_label",
        "_flush_ns",
        "_flush_scheduled",
        "_free_at",
        "_host",
        "_inbox",
        "_incarnation",
        "_input_ns",
        "_links",
        "_node",
        "_paused_at",
        "_recovering",
        "_timer_at",
        "_timers_shifted",
        "_traced",
        "_wake_at",
        "_wake_label",
        "connections",
    )

    def __init__(self, host: Host, node: SimNode, incarnation: int) -> None:
        self._host, self._node, self._incarnation, self._agenda = host, node, incarnation, host.agenda
        self._deliver = node.deliver
        self._flush_ns, self._input_ns = host.profile.processes.flush_ns, host.profile.processes.input_ns
        self._flush_label, self._wake_label = f"flush {host.name}", f"wake {host.name}"
        self._batches = BatchQueue(
            host.agenda,
            host.disk,
            host.disk_rules,
            host.profile.disk,
            host.disk_rng,
            f"disk {host.name}",
            self._batch_done,
        )
        self._links: dict[Address, Link] = {}
        self._inbox: list[tuple[Callable[[int, Any, Any], None], Any, Any]] = []
        self._alive = True
        self._recovering = False
        self._flush_scheduled = False
        self._free_at = 0
        self._wake_at: int | None = None
        self._timer_at: int | None = None
        self._paused_at: int | None = None
        self._timers_shifted = 0
        self._traced = 0
        self.connections: dict[Address, Peer] = {}

    @property
    def is_paused(self) -> bool:
        """Stopped, and not ended."""
        return self._paused_at is not None

    @property
    def bytes_being_written(self) -> int:
        """Bytes of writes that the disk is at."""
        return self._batches.bytes_being_written

    @property
    def syncs_pending(self) -> int:
        """Syncs that the disk is at, or that wait for it."""
        return self._batches.syncs

    def start(self) -> None:
        """Recover from disk and work on what that gave."""
        self._recovering = True
        try:
            self._node.start(self._host.now_ns, self._execute)
        except Exception as error:
            self._host.exited(_explain(error))
            return
        finally:
            self._recovering = False
        self._flush(None, None)

    def receive(self, source: Address, payload: Any) -> None:
        """A unit from a node or a client has arrived."""
        self._inbox.append((self._deliver, source, payload))
        if not self._flush_scheduled and self._paused_at is None:
            self._schedule_flush()

    def client_left(self, client: Address, peer: Peer) -> None:
        """A client has closed its connection, and has not opened another since."""
        if self.connections.get(client) is peer:
            del self.connections[client]
            self._take(self._tell_disconnected, client, None)

    def pause(self) -> None:
        """Stop working until `resume`. Does nothing to a process that is stopped."""
        if self._paused_at is None:
            self._paused_at, self._timers_shifted = self._agenda.now_ns, 0
            self._batches.hold()

    def resume(self) -> PauseReport:
        """Go on with everything that came in meanwhile."""
        if self._paused_at is None:
            return PauseReport()
        report = PauseReport(
            paused_ns=self._agenda.now_ns - self._paused_at,
            inputs_held=len(self._inbox),
            timers_shifted=self._timers_shifted,
        )
        self._paused_at = None
        self._batches.release()
        if self._inbox and not self._flush_scheduled:
            self._schedule_flush()
        return report

    def finish_writing(self) -> None:
        """Let everything that was asked of the disk take effect."""
        self._batches.finish()

    def disk_released(self) -> None:
        """What held the disk up does so no longer."""
        self._batches.go_on()

    def set_timer_anew(self) -> bool:
        """The clock goes otherwise than it did. Returns whether there was a timer to set."""
        if self._wake_at is None:
            return False
        self._set_timer(self._wake_at)
        return True

    def end(self, rng: Random, *, tear: bool) -> tuple[int, int, int]:
        """Die at once. Returns inputs lost, batches lost, connections broken."""
        self._alive = False
        inputs, self._inbox = len(self._inbox), []
        connections, self.connections = self.connections, {}
        for peer in connections.values():
            peer.lost_node()
        return inputs, self._batches.cut(rng, tear=tear), len(connections)

    # ── inputs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, method: Callable[[int, Any, Any], None], first: Any, second: Any) -> None:
        self._inbox.append((method, first, second))
        if not self._flush_scheduled and self._paused_at is None:
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        self._flush_scheduled = True
        due = self._agenda.now_ns + self._flush_ns
        if due < self._free_at:
            due = self._free_at
        self._agenda.push(due, self._flush_label, self._flush, None, None)

    def _batch_done(self, token: int, error: OSError | None) -> None:
        self._take(self._node.io_done, token, error)

    def _tell_disconnected(self, now_ns: int, client: Address, _: None) -> None:
        self._node.disconnected(now_ns, client)

    def _tell_wake(self, now_ns: int, _first: None, _second: None) -> None:
        self._node.wake(now_ns)

    def _timer(self, asked_for: int, _: None) -> None:
        """One timer is kept in the agenda; a later wish waits for it, since most wishes are moved before they come."""
        if not self._alive or asked_for != self._timer_at:
            return
        self._timer_at = None
        if self._wake_at is None:
            return
        if self._wake_at > self._host.now_ns:
            self._set_timer(self._wake_at)
            return
        self._wake_at = None
        self._timers_shifted += self.is_paused
        self._take(self._tell_wake, None, None)

    def _set_timer(self, local_ns: int) -> None:
        self._timer_at = due = max(self._host.due_ns(local_ns), self._agenda.now_ns)
        self._agenda.push(due, self._wake_label, self._timer, due, None)

    # ── outputs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _flush(self, _first: None, _second: None) -> None:
        self._flush_scheduled = False
        if not self._alive or self._paused_at is not None:
            return
        now = self._host.now_ns
        inbox, self._inbox = self._inbox, []
        try:
            for method, first, second in inbox:
                method(now, first, second)
            effects = self._node.flush(now)
        except Exception as error:
            self._host.exited(_explain(error))
            return
        self._free_at = self._agenda.now_ns + self._flush_ns + len(inbox) * self._input_ns
        if effects.trace:
            self._report(effects.trace)
        # A kill in answer to a trace event comes before the sends.
        if self._alive:
            self._carry_out(effects)

    def _report(self, events: Sequence[Any]) -> None:
        first = self._traced + 1
        self._traced += len(events)
        self._host.on_trace(self._host.name, self._incarnation, first, self._agenda.now_ns, events)

    def _carry_out(self, effects: Effects) -> None:
        if effects.failed is not None:
            self._host.exited(effects.failed, decided=True)
            return
        for batch in effects.batches:
            self._batches.submit(batch)
        for send in effects.sends:
            link = self._links.get(send.destination) or self._link(send.destination)
            if link is None:
                return
            link.send(send.payload, send.kind, send.size)
        for reply in effects.replies:
            peer = self.connections.get(reply.destination)
            if peer is not None:  # else: the client has gone
                peer.reply(reply.payload, reply.kind)
        self._wake_at = wake = effects.wake_at_ns
        if wake is not None and (self._timer_at is None or self._host.is_earlier(wake, self._timer_at)):
            self._set_timer(wake)

    def _link(self, target: Address) -> Link | None:
        """None: a node that sends to nobody is broken, and has ended."""
        try:
            link = self._links[target] = self._host.network.link(self._host.name, target)
        except UnknownAddress as error:
            self._host.exited(_explain(error))
            return None
        return link

    def _execute(self, op: FileOp) -> FileResult:
        if not self._recovering:
            raise SimulationError("files are read in start() only; afterwards ask for a FileBatch in Effects.batches")
        return self._host.disk.execute(op)


def _explain(error: Exception) -> str:
    """The exception and the innermost places it came through, without paths, so that runs compare across machines."""
    frames = traceback.extract_tb(error.__traceback__)[1:][-_FRAMES_IN_REASON:]
    places = " < ".join(f"{frame.name} ({PurePath(frame.filename).name}:{frame.lineno})" for frame in reversed(frames))
    text = str(error)
    return f"{type(error).__name__}{': ' if text else ''}{text} in {places or 'the simulator'}"
