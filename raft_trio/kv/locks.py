"""Locks with fencing tokens and leases, and the replicated time that ends leases.

Deterministic: time is what the log tells (`raft_trio.kv.commands.Advance`), never a replica's clock.
"""

from __future__ import annotations

import msgspec

from raft_trio.kv.commands import Acquire, Release, Renew
from raft_trio.kv.results import Acquired, LockHeld, NotHeld, Released

__all__ = ["Lock", "Locks", "LocksState"]


class Lock(msgspec.Struct, frozen=True, array_like=True):
    """Who holds a lock."""

    owner: str
    token: int
    expires_ns: int | None


class LocksState(msgspec.Struct, frozen=True, array_like=True):
    """All locks, for snapshots. `held` ascending by name."""

    held: dict[str, Lock]
    token: int
    now_ns: int


class Locks:
    """All locks of the machine."""

    def __init__(self) -> None:
        self._held: dict[str, Lock] = {}
        self._token = 0
        """The last one given."""
        self.now_ns = 0
        """Replicated time."""

    def advance(self, now_ns: int) -> None:
        """Time never runs back."""
        self.now_ns = max(self.now_ns, now_ns)

    def holder(self, lock: str) -> Lock | None:
        """Who holds it, leases that have run out not counted."""
        held = self._held.get(lock)
        return None if held is None or self._is_over(held) else held

    def holds(self, lock: str, token: int) -> bool:
        """Whether it is held under this token."""
        held = self.holder(lock)
        return held is not None and held.token == token

    def acquire(self, asked: Acquire) -> Acquired | LockHeld:
        """What `Acquire` asks for."""
        self.advance(asked.now_ns)
        held = self.holder(asked.lock)
        if held is not None:
            return LockHeld(held.owner, held.token, held.expires_ns)
        self._token += 1
        return self._hold(asked.lock, asked.owner, self._token, asked.lease_ns)

    def renew(self, asked: Renew) -> Acquired | NotHeld:
        """What `Renew` asks for."""
        self.advance(asked.now_ns)
        held = self.holder(asked.lock)
        if held is None or held.token != asked.token:
            return NotHeld()
        return self._hold(asked.lock, held.owner, held.token, asked.lease_ns)

    def release(self, asked: Release) -> Released | NotHeld:
        """What `Release` asks for."""
        self.advance(asked.now_ns)
        if not self.holds(asked.lock, asked.token):
            return NotHeld()
        del self._held[asked.lock]
        return Released()

    def _hold(self, lock: str, owner: str, token: int, lease_ns: int | None) -> Acquired:
        expires_ns = None if lease_ns is None else self.now_ns + lease_ns
        self._held[lock] = Lock(owner, token, expires_ns)
        return Acquired(token, expires_ns)

    def _is_over(self, held: Lock) -> bool:
        return held.expires_ns is not None and held.expires_ns <= self.now_ns

    def state(self) -> LocksState:
        """Everything, for `restored`. Leases that have run out are left out: they count for nothing."""
        held = {name: self._held[name] for name in sorted(self._held) if not self._is_over(self._held[name])}
        return LocksState(held, self._token, self.now_ns)

    @classmethod
    def restored(cls, state: LocksState) -> Locks:
        """The locks of that state."""
        locks = cls()
        locks._held, locks._token, locks.now_ns = dict(state.held), state.token, state.now_ns
        return locks
