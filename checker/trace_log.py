"""A node's replicated log, rebuilt from its trace, including what a crash may have taken away again.

Here belongs the log as data: append, cut, sync, recovery. No rule: what is forbidden is said in the `*_rules` modules.

A node traces what it did in memory. On disk there is, after a crash, the result of some prefix of those operations,
at least up to the last one known to be synced. So cuts are remembered until they are durable: a crash may undo them,
and `Restored` says which prefix it was.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = ["UNKNOWN", "NodeLog", "Recovery"]

UNKNOWN = -1
"""Term or digest of an entry that the trace does not show (a trace that begins on an old disk)."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How what a disk gave back relates to what the trace says was written."""

    cuts_undone: int
    """Number of newest cuts that never reached the disk."""
    synced_lost: bool = False
    """The recovered log ends before an entry that was synced and not removed since."""
    unexplained: bool = False
    """No prefix of what was written ends like this."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """Entries removed from the end, kept in case the removal is lost."""

    operation: int
    base: int
    base_term: int
    index: int
    terms: list[int]
    digests: list[int]
    numbers: list[int]


@dataclass(slots=True)
class NodeLog:
    """Entries base+1 .. last_index. `numbers` says by which operation of this node each was appended, ascending."""

    base: int = 0
    base_term: int = 0
    terms: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    """(first index, term) of each stretch of equal terms, ascending."""
    operations: int = 0
    durable_operation: int = 0
    base_operation: int = 0
    """The operation that put a snapshot in the place of the log; 0: none did."""
    _cuts: list[_Cut] = field(default_factory=list)

    @property
    def last_index(self) -> int:
        """Index of the last entry; the base if there is none."""
        return self.base + len(self.terms)

    @property
    def durable_index(self) -> int:
        """Last index of the present log that is known to be synced."""
        return self.base + bisect_right(self.numbers, self.durable_operation)

    def term_at(self, index: int) -> int:
        """Term of the entry at `index`; UNKNOWN outside the log; 0 at index 0."""
        position = index - self.base - 1
        if 0 <= position < len(self.terms):
            return self.terms[position]
        if index == self.base:
            return self.base_term
        return UNKNOWN

    def digest_at(self, index: int) -> int:
        """Digest of the entry at `index`; UNKNOWN outside the log."""
        position = index - self.base - 1
        return self.digests[position] if 0 <= position < len(self.digests) else UNKNOWN

    def append(self, index: int, term: int, digest: int) -> None:
        """Put an entry at `index`: what was there or after it goes, what lies between becomes unknown."""
        if index <= self.last_index:
            if self.term_at(index) == term and self.digest_at(index) == digest:
                return
            self.cut(index)
        while self.last_index + 1 < index:
            self._push(UNKNOWN, UNKNOWN)
        self._push(term, digest)

    def cut(self, index: int) -> None:
        """Remove entries from `index` on, in memory; a crash may bring them back."""
        self._cut(index, self.base, self.base_term)

    def install(self, index: int, term: int) -> None:
        """A snapshot up to `index` came in: the log stays if it agrees, else it starts anew after the snapshot."""
        if index < self.base or (index <= self.last_index and self.term_at(index) == term):
            return
        self._cut(self.base + 1, index, term)
        self.base_operation = self.operations

    def sync(self, index: int, term: int) -> None:
        """Everything up to the entry (index, term) is durable. Of an entry no longer in the log: says nothing."""
        position = index - self.base - 1
        if 0 <= position < len(self.terms) and self.terms[position] == term:
            operation = self.numbers[position]
        elif position == -1 and self.base_term == term:  # the log begins behind a snapshot: that is durable
            operation = self.base_operation
        else:
            return
        self.durable_operation = max(self.durable_operation, operation)
        while self._cuts and self._cuts[0].operation <= self.durable_operation:
            del self._cuts[0]

    def recovery(self, last_index: int, last_term: int) -> Recovery:
        """What would explain a disk that gives back a log ending with (last_index, last_term)."""
        undone = 0
        base, terms, numbers = self.base, self.terms, self.numbers
        for cut in [*reversed(self._cuts), None]:
            floor = cut.index - 1 if cut else 0
            durable = base + bisect_right(numbers, self.durable_operation)
            if max(floor, durable, base) <= last_index <= base + len(terms):
                term = terms[last_index - base - 1] if last_index > base else self._base_term(undone)
                if last_term in (term, UNKNOWN) or term == UNKNOWN:
                    return Recovery(undone)
            if cut is not None:
                undone += 1
                kept = max(cut.index - cut.base - 1, 0)
                base, terms, numbers = (
                    cut.base,
                    (terms[:kept] if cut.base == base else []) + cut.terms,
                    (numbers[:kept] if cut.base == base else []) + cut.numbers,
                )
        return Recovery(0, synced_lost=last_index < self.durable_index, unexplained=True)

    def unchanged_by_restore(self, last_index: int, last_term: int) -> int:
        """The highest index up to which `restore` would leave every entry as it is."""
        undone = self.recovery(last_index, last_term).cuts_undone
        first_cut = min((cut.index for cut in self._cuts[len(self._cuts) - undone :]), default=last_index + 1)
        return min(self.last_index, last_index, first_cut - 1)

    def restore(self, last_index: int, last_term: int) -> None:
        """Become what the disk gave back."""
        recovery = self.recovery(last_index, last_term)
        for _ in range(recovery.cuts_undone):
            self._undo()
        if recovery.unexplained:
            self._cuts.clear()
        if last_index < self.base:
            self._drop_from(0)
            self.base, self.base_term = last_index, last_term
        if last_index < self.last_index:
            self._drop_from(last_index + 1)
        while self.last_index < last_index:
            self._push(UNKNOWN, UNKNOWN)
        if self.terms and self.terms[-1] == UNKNOWN and last_term != UNKNOWN:
            self._drop_from(last_index)
            self._push(last_term, UNKNOWN)

    def _base_term(self, undone: int) -> int:
        return self.base_term if undone == 0 else self._cuts[-undone].base_term

    def _push(self, term: int, digest: int) -> None:
        self.operations += 1
        self.terms.append(term)
        self.digests.append(digest)
        self.numbers.append(self.operations)
        if not self.runs or self.runs[-1][1] != term:
            self.runs.append((self.last_index, term))

    def _cut(self, index: int, new_base: int, new_base_term: int) -> None:
        keep = max(index - self.base - 1, 0)
        self.operations += 1
        self._cuts.append(
            _Cut(
                self.operations,
                self.base,
                self.base_term,
                index,
                self.terms[keep:],
                self.digests[keep:],
                self.numbers[keep:],
            )
        )
        self._drop_from(index)
        self.base, self.base_term = new_base, new_base_term

    def _drop_from(self, index: int) -> None:
        keep = max(index - self.base - 1, 0)
        del self.terms[keep:], self.digests[keep:], self.numbers[keep:]
        while self.runs and self.runs[-1][0] >= index:
            self.runs.pop()

    def _undo(self) -> None:
        """Take back the newest cut."""
        cut = self._cuts.pop()
        self._drop_from(cut.index if cut.base == self.base else self.base + 1)
        self.base, self.base_term = cut.base, cut.base_term
        self.terms += cut.terms
        self.digests += cut.digests
        self.numbers += cut.numbers
        self._renew_runs()

    def _renew_runs(self) -> None:
        self.runs = []
        for index, term in enumerate(self.terms, start=self.base + 1):
            if not self.runs or self.runs[-1][1] != term:
                self.runs.append((index, term))
