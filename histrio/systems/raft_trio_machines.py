"""Broken state machines: planted bugs in what commands do, each seen by one workload and by those like it.

Each is another `Build.machine`, or a rule that guesses its answers. The log and its replication are correct, and all
replicas agree; so no invariant of the log sees them, and clients must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from histrio.systems.raft_trio_hunts import drawn
from histrio.systems.system import Bug
from raft_trio import kv
from raft_trio.build import Build
from raft_trio.kv.locks import Locks
from raft_trio.kv.machine import canonical
from raft_trio.machine import StateMachine

__all__ = ["BROKEN_MACHINES", "BrokenMachine"]

PAGE = 30
RING = 6


@dataclass(frozen=True, slots=True)
class BrokenMachine:
    """A catalogue entry, how to build the node that has it, and the workload that shows it."""

    bug: Bug
    plant: Callable[[Build], Build]
    workload: str


class _OnePage(kv.KeyValueMachine):
    """A range ends with its first page."""

    def answer(self, query: kv.Query) -> kv.Result:
        result = super().answer(query)
        return kv.Ranged(result.items[:PAGE]) if isinstance(result, kv.Ranged) else result


class _SplitRevisions(kv.KeyValueMachine):
    """A page of changes may end inside a revision, and the next one begins behind it."""

    def answer(self, query: kv.Query) -> kv.Result:
        if not isinstance(query, kv.Watch) or query.limit == 0:
            return super().answer(query)
        everything = super().answer(msgspec.structs.replace(query, limit=0))
        if not isinstance(everything, kv.Events) or len(everything.events) <= query.limit:
            return everything
        page = everything.events[: query.limit]
        return kv.Events(page, page[-1].revision)


class _InParts(kv.KeyValueMachine):
    """The last step of a transaction is done when the next command comes."""

    def __init__(self) -> None:
        super().__init__()
        self._left: kv.Transaction | None = None

    def carry_out(self, command: kv.Command) -> kv.Result:
        left, self._left = self._left, None
        if left is not None:
            super().carry_out(left)
        if not isinstance(command, kv.Transaction) or len(command.then) < 2:
            return super().carry_out(command)
        first = msgspec.structs.replace(command, then=command.then[:-1])
        result = super().carry_out(first)
        if isinstance(result, kv.Transacted) and result.held:
            self._left = kv.Transaction((), command.then[-1:])
        return result


class _ForgetfulLocks(Locks):
    """Tokens begin again when a lock is given back."""

    def release(self, asked: kv.Release) -> kv.Released | kv.NotHeld:
        result = super().release(asked)
        if isinstance(result, kv.Released):
            self._token = 0
        return result


class _TokensBeginAgain(kv.KeyValueMachine):
    def __init__(self) -> None:
        super().__init__()
        self.locks = _ForgetfulLocks()


class _HalfLeases(Locks):
    """Leases last half as long as was agreed."""

    def acquire(self, asked: kv.Acquire) -> kv.Acquired | kv.LockHeld:
        lease_ns = None if asked.lease_ns is None else asked.lease_ns // 2
        return super().acquire(msgspec.structs.replace(asked, lease_ns=lease_ns))


class _LeasesEndEarly(kv.KeyValueMachine):
    def __init__(self) -> None:
        super().__init__()
        self.locks = _HalfLeases()


class _Ring(kv.KeyValueMachine):
    """A queue is a ring: what does not fit in overwrites what is next."""

    def carry_out(self, command: kv.Command) -> kv.Result:
        if isinstance(command, kv.Enqueue):
            queue = self.queues.get(command.queue)
            if queue is not None and len(queue) >= RING:
                queue[0] = canonical(command.value)
                return kv.Appended(len(queue))
        return super().carry_out(command)


def _sum_at_append(machine: StateMachine, command: bytes) -> bytes | None:
    """What the sum will be, if nothing that is not applied yet comes before."""
    decoded = kv.decode_command(command)
    if not isinstance(decoded, kv.Increment):
        return None
    present = kv.decode_result(machine.query(kv.encode(kv.Get(decoded.key))))
    value = present.value if isinstance(present, kv.Found) else 0
    return kv.encode(kv.Incremented(value + decoded.by))


def _guess_sums(build: Build) -> Build:
    return replace(build, node_rules=replace(build.node_rules, result_at_append=_sum_at_append))


def _machine(machine: Callable[[], StateMachine]) -> Callable[[Build], Build]:
    return lambda build: replace(build, machine=machine)


_CATALOGUE = (
    BrokenMachine(
        Bug(
            name="range_stops_early",
            reference="a limit that nobody asked for",
            change=f"a range is cut after {PAGE} keys, and nothing says that there are more",
            detectors=("linearizability", "set-full"),
            hunt=drawn("set"),
        ),
        _machine(_OnePage),
        "set",
    ),
    BrokenMachine(
        Bug(
            name="sum_before_commit",
            reference="C3, for answers that depend on the state",
            change="a leader answers an increment when it is in its own log, with the sum of what it has applied",
            detectors=("unique-ids", "acknowledged-durable"),
            hunt=drawn("unique-ids"),
        ),
        _guess_sums,
        "unique-ids",
    ),
    BrokenMachine(
        Bug(
            name="transaction_in_parts",
            reference="dirty reads of a bank: Jepsen on Percona XtraDB and MariaDB Galera",
            change="the last step of a transaction becomes visible only with the next command",
            detectors=("linearizability",),
            hunt=drawn("bank"),
        ),
        _machine(_InParts),
        "bank",
    ),
    BrokenMachine(
        Bug(
            name="tokens_begin_again",
            reference="Kleppmann 2016: a token must ascend for ever",
            change="the fencing tokens of locks begin again at 1 when a lock is given back",
            detectors=("linearizability",),
            hunt=drawn("lock"),
        ),
        _machine(_TokensBeginAgain),
        "lock",
    ),
    BrokenMachine(
        Bug(
            name="lease_ends_early",
            reference="Chubby §2.4: what fencing tokens are for",
            change="leases of locks are over after half of their time, while their holders believe in them",
            detectors=("leases",),
            hunt=drawn("lock"),
        ),
        _machine(_LeasesEndEarly),
        "lock",
    ),
    BrokenMachine(
        Bug(
            name="queue_overwrites",
            reference="ring buffers without a check for full ones",
            change=f"a queue of {RING} elements puts a new one in the place of the next",
            detectors=("linearizability", "total-queue"),
            hunt=drawn("queue"),
        ),
        _machine(_Ring),
        "queue",
    ),
    BrokenMachine(
        Bug(
            name="watch_splits_revisions",
            reference="etcd's guarantee that a revision is never split (atomic)",
            change="a page of changes may end inside a revision, and whoever goes on behind it misses the rest",
            detectors=("watch",),
            hunt=drawn("watch"),
        ),
        _machine(_SplitRevisions),
        "watch",
    ),
)

BROKEN_MACHINES: Mapping[str, BrokenMachine] = {broken.bug.name: broken for broken in _CATALOGUE}
