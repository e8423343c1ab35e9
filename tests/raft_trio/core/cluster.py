"""A cluster of bare cores with a disk each and one bag of messages, moved only by explicit steps, watched at every one.

Belongs here: the world (network, disks, crashes) and the invariants of Raft Figure 3 as checks over what the cores
report and what their disks hold. Which steps to take is the tests' affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from zlib import crc32

from raft_trio.config import RaftNodeConfig
from raft_trio.core.log import entry_digest
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Outbound, Persist, Ready, Recovered
from raft_trio.messages import Message, Refusal
from raft_trio.rules import RULES, Rules
from raft_trio.trace import (
    Appended,
    Became,
    Committed,
    Configured,
    Restored,
    Snapshotted,
    Synced,
    TraceEvent,
    Truncated,
    Voted,
)
from raft_trio.types import Config, EntryType, HardState, LogEntry, NodeId, Role, Snapshot

__all__ = ["Cluster", "Member", "Settings", "Violation", "Watcher"]

MS = 1_000_000

Settings = Callable[[NodeId, tuple[NodeId, ...]], RaftNodeConfig]


class Violation(AssertionError):
    """An invariant of Raft does not hold."""


@dataclass
class Disk:
    """What survives a crash, and what was handed over but is not durable yet."""

    hard_state: HardState = field(default_factory=HardState)
    entries: list[LogEntry] = field(default_factory=list)
    queue: list[Persist] = field(default_factory=list)
    snapshot: Snapshot | None = None
    base: tuple[int, int] = (0, 0)
    """(index, term) before the first of `entries`."""

    def sync_one(self) -> int:
        """Make the oldest hand-over durable; its token."""
        persist = self.queue.pop(0)
        if persist.snapshot is not None:
            self.snapshot = persist.snapshot
            self.base = (persist.snapshot.index, persist.snapshot.term)
            self.entries.clear()
        if persist.truncate_from is not None:
            del self.entries[persist.truncate_from - self.base[0] - 1 :]
        for entry in persist.entries:
            assert entry.index == self.base[0] + len(self.entries) + 1, "storage was handed a hole"
            self.entries.append(entry)
        if persist.hard_state is not None:
            self.hard_state = persist.hard_state
        return persist.token

    def compact(self, snapshot: Snapshot, first_index: int) -> None:
        """Keep a snapshot, and forget what the core has forgotten."""
        self.snapshot = snapshot
        gone = first_index - 1 - self.base[0]
        if gone > 0:
            self.base = (first_index - 1, self.entries[gone - 1].term)
            del self.entries[:gone]


@dataclass
class Member:
    """One node: its core while it is up, its disk always."""

    core: RaftCore | None
    disk: Disk = field(default_factory=Disk)
    held: list[tuple[int, Outbound]] = field(default_factory=list)
    """Messages that wait for the sync of a token."""
    incarnation: int = 1
    applied: int = 0

    @property
    def up(self) -> RaftCore:
        assert self.core is not None, "the node is down"
        return self.core


@dataclass
class Watcher:
    """The invariants of Raft Figure 3, and those of the implementation that make them hold."""

    members: dict[NodeId, Member]
    shadows: dict[NodeId, list[tuple[int, int]]] = field(default_factory=dict)
    """Every node's log as its trace tells it: (term, digest)."""
    leaders: dict[int, tuple[NodeId, int]] = field(default_factory=dict)
    votes: dict[tuple[NodeId, int], NodeId] = field(default_factory=dict)
    entries: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """(index, term) -> (digest, term of the entry before)."""
    committed: list[tuple[int, int]] = field(default_factory=list)
    """By index - 1: (term, digest) of every entry any node has handed over as committed."""
    commit_max: int = 0
    configs: dict[NodeId, Configured] = field(default_factory=dict)
    """In force on each node."""
    commits: dict[NodeId, int] = field(default_factory=dict)

    def see(self, node: NodeId, ready: Ready) -> None:
        """Check one hand-over."""
        for event in ready.trace:
            self._event(node, event)
        if ready.snapshot is not None:
            self._installed(node, ready.snapshot)
        for entry in ready.committed:
            self._applied(node, entry)

    def _event(self, node: NodeId, event: TraceEvent) -> None:
        shadow = self.shadows.setdefault(node, [])
        match event:
            case Restored():
                disk = self.members[node].disk
                kept = [(entry.term, entry_digest(entry)) for entry in disk.entries]
                self.shadows[node] = self.committed[: disk.base[0]] + kept
                self.commits[node] = 0
            case Configured():
                self.configs[node] = event
            case Became(role=Role.LEADER, term=term):
                self._leads(node, term)
            case Voted(term=term, candidate=candidate):
                before = self.votes.setdefault((node, term), candidate)
                require(before == candidate, f"one vote per term: {node} voted {before} and {candidate} in {term}")
            case Appended(index=index, term=term, digest=digest):
                require(index == len(shadow) + 1, f"{node} appended {index} to a log of {len(shadow)}")
                shadow.append((term, digest))
                linked = (digest, shadow[-2][0] if index > 1 else 0)
                before_ = self.entries.setdefault((index, term), linked)
                require(before_ == linked, f"log matching: two entries ({index}, {term})")
            case Truncated(index=index):
                del shadow[index - 1 :]
            case Committed(index=index):
                self._commits(node, index)
            case Synced(index=index):
                durable = [self.on_disk(node, at) for at in range(1, index + 1)]
                require(durable == shadow[:index], f"{node} takes entries up to {index} for durable")
            case Snapshotted(index=index, installed=True):
                require(index > self.commits[node], f"{node} installed a snapshot to {index} over a newer state")
                self.shadows[node] = self.committed[:index]
                self.commits[node] = index
            case _:
                pass

    def _leads(self, node: NodeId, term: int) -> None:
        me = (node, self.members[node].incarnation)
        require(self.leaders.setdefault(term, me) == me, f"election safety: {self.leaders[term]} and {me} lead {term}")
        held = self.shadows[node][: len(self.committed)]
        require(held == self.committed, f"leader completeness: {node} leads {term} without all committed entries")

    def _commits(self, node: NodeId, index: int) -> None:
        require(index >= self.commits[node], f"commit index of {node} went back to {index}")
        require(index <= len(self.shadows[node]), f"{node} committed {index} beyond its log")
        self.commits[node] = index
        if index > self.commit_max:
            self.commit_max = index
            entry = self.shadows[node][index - 1]
            durable = [name for name in self.members if self.on_disk(name, index) == entry]
            for voters in self.electorates(node):
                have = [name for name in voters if name in durable]
                require(2 * len(have) > len(voters), f"{node} committed {index}, of {voters} durable only on {have}")

    def electorates(self, node: NodeId) -> list[tuple[NodeId, ...]]:
        """Every set of voters of which the node needs a majority."""
        config = self.configs[node]
        return [voters for voters in (config.voters, config.voters_outgoing) if voters]

    def on_disk(self, node: NodeId, index: int) -> tuple[int, int] | None:
        """(term, digest) of a durable entry, or of one that a durable snapshot stands for."""
        disk = self.members[node].disk
        if index <= disk.base[0]:
            return self.committed[index - 1]
        if index > disk.base[0] + len(disk.entries):
            return None
        entry = disk.entries[index - disk.base[0] - 1]
        return entry.term, entry_digest(entry)

    def state_at(self, index: int) -> bytes:
        """What a state machine would be after applying everything up to `index`."""
        return b"".join(b"%08x%08x" % entry for entry in self.committed[:index])

    def _installed(self, node: NodeId, snapshot: Snapshot) -> None:
        require(snapshot.data == self.state_at(snapshot.index), f"{node} was given another state at {snapshot.index}")

    def _applied(self, node: NodeId, entry: LogEntry) -> None:
        known = (entry.term, entry_digest(entry))
        if entry.index > len(self.committed):
            require(entry.index == len(self.committed) + 1, f"{node} applied {entry.index} with a hole")
            self.committed.append(known)
        require(self.committed[entry.index - 1] == known, f"state machine safety: {node} differs at {entry.index}")


def require(condition: bool, text: str) -> None:
    """Raise `Violation` with `text`."""
    if not condition:
        raise Violation(text)


class Cluster:
    """Cores `n1`, `n2`, ... with one clock. Every step ends with the hand-over of the node concerned."""

    def __init__(
        self,
        size: int,
        *,
        settings: Settings = RaftNodeConfig,
        rules: Rules = RULES,
        seed: int = 0,
        voters: int | None = None,
    ) -> None:
        """`voters`: how many nodes form the cluster at first, by default all; the others wait to be added."""
        self.ids = tuple(f"n{number}" for number in range(1, size + 1))
        self.bootstrap = self.ids[:voters]
        self.settings = settings
        self.rules = rules
        self.seed = seed
        self.now_ns = 0
        self.network: list[tuple[NodeId, NodeId, Message]] = []
        self.members = {node: Member(None) for node in self.ids}
        self.watcher = Watcher(self.members)
        self.reads: dict[tuple[NodeId, int], int] = {}
        """Open reads: what was committed anywhere when they were invoked."""
        self.observe: Callable[[NodeId, Ready], None] = lambda node, ready: None
        """Sees every hand-over."""
        self.answers: dict[tuple[NodeId, int], int | None] = {}
        for node in self.ids:
            self._start(node)

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def deliver(self, position: int = 0, *, keep: bool = False) -> None:
        """Deliver one message of the network; `keep`: as a duplicate."""
        source, target, message = self.network[position] if keep else self.network.pop(position)
        core = self.members[target].core
        if core is not None:
            core.step(self.now_ns, source, message)
            self.flush(target)

    def sync(self, node: NodeId) -> None:
        """The oldest write of a node becomes durable."""
        member = self.members[node]
        token = member.disk.sync_one()
        member.up.persisted(self.now_ns, token)
        self.flush(node)

    def crash(self, node: NodeId, *, kept: int = 0) -> None:
        """Lose the core and whatever was not durable, but for the oldest `kept` writes, which made it unnoticed."""
        member = self.members[node]
        for _ in range(min(kept, len(member.disk.queue))):
            member.disk.sync_one()
        member.core = None
        member.disk.queue.clear()
        member.held.clear()
        for key in [key for key in self.reads if key[0] == node]:
            del self.reads[key]

    def restart(self, node: NodeId) -> None:
        """A new incarnation from what the disk kept."""
        self.members[node].incarnation += 1
        self._start(node)

    def wake(self, node: NodeId) -> None:
        """Let time pass up to the node's deadline, and wake it."""
        core = self.members[node].up
        self.now_ns = max(self.now_ns, core.deadline_ns())
        core.wake(self.now_ns)
        self.flush(node)

    def propose(self, node: NodeId, data: bytes = b"", *, operation: str = "") -> int | None:
        """Propose a command, and hand over."""
        index = self.members[node].up.propose(self.now_ns, EntryType.COMMAND, operation=operation, data=data)
        self.flush(node)
        return index

    def compact(self, node: NodeId) -> bool:
        """Take a snapshot of what the node has applied, at once durable; False: there is nothing new."""
        member = self.members[node]
        core, index = member.up, member.applied
        if index <= core.snapshot_index:
            return False
        data = self.watcher.state_at(index)
        config_index, config = core.config_at(index)
        snapshot = Snapshot(index, self.watcher.committed[index - 1][0], config, config_index, crc32(data), data)
        while member.disk.queue:  # a snapshot is written behind what was handed over before
            self.sync(node)
        core.compact(snapshot)
        member.disk.compact(snapshot, core.first_index)
        self.flush(node)
        return True

    def change(self, node: NodeId, config: Config) -> int | Refusal:
        """Ask a node to change the membership to this, and hand over."""
        begun = self.members[node].up.change_membership(config, f"change {self.now_ns}")
        self.flush(node)
        return begun

    def transfer(self, node: NodeId, target: NodeId) -> Refusal | None:
        """Ask a node to hand leadership over, and hand over."""
        refusal = self.members[node].up.transfer_leadership(self.now_ns, target)
        self.flush(node)
        return refusal

    def read(self, node: NodeId, context: int) -> None:
        """Ask for a read index; `answers` has it later."""
        self.reads[node, context] = self.watcher.commit_max
        self.members[node].up.read_index(self.now_ns, context)
        self.flush(node)

    def flush(self, node: NodeId) -> Ready:
        """Take the node's hand-over: write, send what may go, hold the rest, check everything."""
        member = self.members[node]
        ready = member.up.take_ready(self.now_ns)
        self.observe(node, ready)
        self.watcher.see(node, ready)
        if ready.snapshot is not None:
            member.applied = ready.snapshot.index
        if ready.committed:
            member.applied = ready.committed[-1].index
        if ready.persist is not None:
            member.disk.queue.append(ready.persist)
        self.network.extend((node, target, message) for target, message in ready.messages)
        token = member.disk.queue[-1].token if member.disk.queue else 0
        member.held.extend((token, outbound) for outbound in ready.messages_after_sync)
        self._release(node)
        for state in ready.read_states:
            self._answered(node, state.context, state.index)
        return ready

    # ── fair weather ─────────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self, *, only: Iterable[NodeId] | None = None, steps_max: int = 5_000) -> None:
        """Sync and deliver, in order, until nothing moves; messages to or from others than `only` are lost."""
        among = set(self.ids if only is None else only)
        for _ in range(steps_max):
            if not self._sync_any(among) and not self._deliver_any(among):
                return
        raise Violation(f"still not settled after {steps_max} steps: a livelock")

    def campaign(self, node: NodeId, *, only: Iterable[NodeId] | None = None) -> None:
        """Let the node's election timeout pass, well after everybody's stickiness, and settle."""
        self.timeout(node)
        self.settle(only=only)

    def timeout(self, node: NodeId) -> None:
        """Let much time pass and wake the node; its messages stay in the network."""
        self.now_ns += 1_000 * MS
        self.members[node].up.wake(self.now_ns)
        self.flush(node)

    def elect(self, node: NodeId, *, only: Iterable[NodeId] | None = None) -> None:
        """`campaign`, which must succeed."""
        self.campaign(node, only=only)
        assert self.core(node).role is Role.LEADER, f"{node} is {self.core(node).role}"

    def beat(self, node: NodeId, *, only: Iterable[NodeId] | None = None) -> None:
        """A leader's heartbeat falls due; settle."""
        self.wake(node)
        self.settle(only=only)

    def pull(self, source: NodeId, target: NodeId, kind: type[Message] | None = None) -> Message:
        """Take the oldest matching message out of the network, undelivered."""
        for position, (sender, receiver, message) in enumerate(self.network):
            if (sender, receiver) == (source, target) and (kind is None or isinstance(message, kind)):
                del self.network[position]
                return message
        raise AssertionError(f"no message from {source} to {target} under way")

    def push(self, source: NodeId, target: NodeId, message: Message) -> None:
        """Deliver a message of the test's own making, or one that was pulled."""
        self.members[target].up.step(self.now_ns, source, message)
        self.flush(target)

    def core(self, node: NodeId) -> RaftCore:
        """The node's running core."""
        return self.members[node].up

    def leader(self) -> NodeId | None:
        """The running leader of the highest term."""
        leading = [n for n, m in self.members.items() if m.core is not None and m.core.role is Role.LEADER]
        return max(leading, key=lambda n: self.core(n).term, default=None)

    def log_of(self, node: NodeId) -> list[int]:
        """Terms of the node's log, from the first index that is there."""
        core = self.core(node)
        return [core.term_at(index) or 0 for index in range(core.first_index, core.last_index + 1)]

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, node: NodeId) -> None:
        member = self.members[node]
        settings = self.settings(node, self.bootstrap if node in self.bootstrap else ())
        disk = member.disk
        recovered = Recovered(disk.hard_state, tuple(disk.entries), disk.snapshot, *disk.base)
        member.applied = 0 if disk.snapshot is None else disk.snapshot.index
        random = Random(f"{self.seed}/{node}/{member.incarnation}")
        member.core = RaftCore(node, settings, recovered, rules=self.rules, random=random, now_ns=self.now_ns)
        self.flush(node)

    def _release(self, node: NodeId) -> None:
        member = self.members[node]
        waiting = member.disk.queue[0].token if member.disk.queue else None
        while member.held and (waiting is None or member.held[0][0] < waiting):
            target, message = member.held.pop(0)[1]
            self.network.append((node, target, message))

    def _answered(self, node: NodeId, context: int, index: int | None) -> None:
        invoked = self.reads.pop((node, context))
        self.answers[node, context] = index
        require(index is None or index >= invoked, f"stale read: {node} may read at {index}, {invoked} was committed")

    def _sync_any(self, among: set[NodeId]) -> bool:
        for node in self.ids:
            if node in among and self.members[node].disk.queue:
                self.sync(node)
                return True
        return False

    def _deliver_any(self, among: set[NodeId]) -> bool:
        if not self.network:
            return False
        source, target, _ = self.network[0]
        if source in among and target in among:
            self.deliver()
        else:
            self.network.pop(0)
        return True
