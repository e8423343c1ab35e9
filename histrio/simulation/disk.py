"""What a simulated disk holds: contents and names, durable and not, and what a power loss makes of them.

Durability is that of `raft_trio.files`. A kill -9 changes nothing here, because the page cache belongs to the kernel;
only a power loss does. Then each unsynced change is kept or lost on its own, in any combination (Pillai et al.,
OSDI'14): names created, replaced or removed without `SyncDir`; contents written or truncated without `Sync`. A lost
write may leave a prefix of whole sectors behind, or only its length, filled with zeros, as file systems with delayed
allocation do. How long operations take is the affair of `batches.py`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from histrio.simulation.disk_rules import DiskRules
from raft_trio.files import FileOp, FileResult, ListDir, Pwrite, Read, Rename, Sync, SyncDir, Truncate, Unlink

__all__ = ["SECTOR_BYTES", "Damage", "Disk", "DiskLoss"]

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""


@dataclass(frozen=True, slots=True)
class DiskLoss:
    """What a power loss destroyed. `bytes_lost` counts bytes handed to the kernel that are not on disk afterwards."""

    bytes_lost: int = 0
    writes_lost: int = 0
    writes_torn: int = 0
    """Of `writes_lost`, those that left a part of themselves behind."""
    bytes_torn: int = 0
    """Of `bytes_lost`, those of such writes."""
    truncations_lost: int = 0
    names_lost: int = 0


@dataclass(slots=True)
class _Inode:
    """One file's contents: as programs see them, as the disk has them, and the changes between the two in order."""

    seen: bytearray
    durable: bytearray
    unsynced: list[Pwrite | Truncate]
    vouched: int = 0
    """Length of the part that was durable before a write was asked for that is durable now."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are not what was stored, and what was."""

    inode: _Inode
    offset: int
    pristine: bytes


_NameChange = dict[str, _Inode | None]
"""Names that change together: to a file, or to nothing."""


class Disk:
    """One node's disk. Outlives the node's incarnations."""

    __slots__ = ("_durable_names", "_names", "_rules", "_unsynced_names", "damages")

    def __init__(self, rules: DiskRules | None = None) -> None:
        self._rules = rules or DiskRules()
        self.damages: dict[str, list[Damage]] = {}
        """Damage that has not been mended, by rule."""
        self._names: dict[str, _Inode] = {}
        self._durable_names: dict[str, _Inode] = {}
        self._unsynced_names: list[_NameChange] = []

    def execute(self, op: FileOp) -> FileResult:
        """Carry out one operation at once. Raises OSError as the system would: ENOENT, EINVAL, and what rules say."""
        if self._rules.failing:
            self._rules.refuse(op)
        match op:
            case Pwrite():
                self._pwrite(op)
            case Sync(path=path):
                _make_durable(self._inode(path))
            case Truncate():
                self._truncate(op)
            case Rename(source=source, target=target):
                self._change_names({target: self._inode(source), source: None} if source != target else {})
            case Unlink(path=path):
                self._inode(path)
                self._change_names({path: None})
            case SyncDir(path=path):
                self._sync_names(path)
            case Read(path=path):
                return bytes(self._inode(path).seen)
            case ListDir(path=path):
                return tuple(sorted(_base(name) for name in self._names if _directory(name) == path))
        return None

    def files(self) -> Mapping[str, bytes]:
        """Every file as programs see it, sorted by name; for collecting and for tests."""
        return {name: bytes(self._names[name].seen) for name in sorted(self._names)}

    @property
    def unsynced_bytes(self) -> int:
        """Bytes of writes that a power loss now could lose."""
        inodes = _distinct((*self._names.values(), *self._durable_names.values()))
        return sum([len(one.data) for inode in inodes for one in inode.unsynced if isinstance(one, Pwrite)])

    def durable_bytes(self, path: str) -> int:
        """Length of the file's durable contents; 0: no such file."""
        inode = self._names.get(path)
        return 0 if inode is None else len(inode.durable)

    def vouch(self, path: str, size: int) -> None:
        """A write that was asked for when the first `size` bytes of the file were durable is durable itself.

        So a system can know that those bytes were not lost by a power loss, and damage to them is no torn write.
        """
        inode = self._names.get(path)
        if inode is not None and not inode.unsynced and not self.damages:
            inode.vouched = max(inode.vouched, min(size, len(inode.durable)))

    def flip(self, rule: str, bits: int, rng: Random) -> int:
        """Flip bits of stored bytes that are vouched for, each in a place of its own. Returns how many."""
        files = [self._names[name] for name in sorted(self._names) if self._names[name].vouched]
        places = [(inode, at) for inode in files for at in _places(rng, bits, inode.vouched, len(files))]
        for inode, at in places[:bits]:
            pristine = bytes(inode.durable[at : at + 1])
            self._damage(rule, inode, at, bytes([pristine[0] ^ 1 << int(rng.random() * 8)]))
        return len(places[:bits])

    def cut_off(self, bytes_max: int) -> int:
        """Cut unsynced bytes off the end of the file that has most of them. Returns how many."""
        tails = [(len(inode.seen) - len(inode.durable), name) for name, inode in sorted(self._names.items())]
        tail, name = max(tails, default=(0, ""))
        if tail <= 0:
            return 0
        inode, cut = self._names[name], min(bytes_max, tail)
        del inode.seen[len(inode.seen) - cut :]
        inode.unsynced.append(Truncate(name, len(inode.seen)))
        return cut

    def mend(self, rule: str) -> None:
        """Undo the damage of a rule."""
        for damage in reversed(self.damages.pop(rule, [])):
            for contents in (damage.inode.durable, damage.inode.seen):
                _write(contents, damage.offset, damage.pristine)

    def forget_damage(self, rule: str) -> None:
        """Leave the damage of a rule as it is, for good."""
        self.damages.pop(rule, None)

    def _damage(self, rule: str, inode: _Inode, offset: int, data: bytes) -> None:
        pristine = bytes(inode.durable[offset : offset + len(data)])
        self.damages.setdefault(rule, []).append(Damage(inode, offset, pristine))
        for contents in (inode.durable, inode.seen):
            _write(contents, offset, data)

    def power_loss(self, rng: Random, *, tear: bool = False) -> DiskLoss:
        """Leave what a machine would find after losing power now; everything left is durable.

        tear: every unsynced write is torn, each of its sectors kept or lost on its own.
        """
        kept = [change for change in self._unsynced_names if rng.getrandbits(1)]
        names_lost = len(self._unsynced_names) - len(kept)
        for change in kept:
            _apply(self._durable_names, change)
        self._unsynced_names = []
        tally = _Tally()
        for inode in _distinct((*self._names.values(), *self._durable_names.values())):
            (_tear if tear else _lose)(inode, rng, tally)
        self._names = dict(self._durable_names)
        return DiskLoss(
            bytes_lost=tally.bytes_lost,
            writes_lost=tally.writes_lost,
            writes_torn=tally.writes_torn,
            bytes_torn=tally.bytes_torn,
            truncations_lost=tally.truncations_lost,
            names_lost=names_lost,
        )

    def _inode(self, path: str) -> _Inode:
        inode = self._names.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return inode

    def _pwrite(self, op: Pwrite) -> None:
        _check_not_negative(op.path, op.offset)
        inode = self._names.get(op.path)
        if inode is None:
            inode = _Inode(bytearray(), bytearray(), [])
            self._change_names({op.path: inode})
        if self._rules.misdirecting:
            astray = self._rules.misdirect(op, inode.vouched)
            if astray is not None:
                self._write_astray(inode, op, astray)
                return
        _write(inode.seen, op.offset, op.data)
        inode.unsynced.append(op)

    def _write_astray(self, inode: _Inode, op: Pwrite, astray: int) -> None:
        """What the disk should hold is remembered as the pristine bytes of both places."""
        rule = next(name for name, one in self._rules.misdirecting.items() if one.count and name not in self.damages)
        self._damage(rule, inode, astray, op.data)
        self.damages[rule].append(Damage(inode, op.offset, op.data))
        self._rules.damaged[rule] = None
        self._rules.misdirecting[rule].done()

    def _truncate(self, op: Truncate) -> None:
        _check_not_negative(op.path, op.size)
        inode = self._inode(op.path)
        inode.vouched = min(inode.vouched, op.size)
        _resize(inode.seen, op.size)
        inode.unsynced.append(op)

    def _change_names(self, change: _NameChange) -> None:
        if change:
            _apply(self._names, change)
            self._unsynced_names.append(change)

    def _sync_names(self, directory: str) -> None:
        """Changes in this directory become durable, and with them earlier ones of the names they touch.

        Only a rename across directories makes a difference: it is atomic, so it is durable when either directory is.
        """
        needed: set[str] = set()
        due: list[_NameChange] = []
        pending: list[_NameChange] = []
        for change in reversed(self._unsynced_names):
            if needed.isdisjoint(change) and all(_directory(name) != directory for name in change):
                pending.append(change)
            else:
                due.append(change)
                needed.update(change)
        for change in reversed(due):
            _apply(self._durable_names, change)
        self._unsynced_names = pending[::-1]


@dataclass(slots=True)
class _Tally:
    bytes_lost: int = 0
    writes_lost: int = 0
    writes_torn: int = 0
    bytes_torn: int = 0
    truncations_lost: int = 0


def _lose(inode: _Inode, rng: Random, tally: _Tally) -> None:
    """Decide the fate of each unsynced change: half are kept, a lost write leaves nothing, sectors or zeros behind."""
    for change in inode.unsynced:
        if rng.getrandbits(1):
            _replay(inode.durable, change)
        elif isinstance(change, Truncate):
            tally.truncations_lost += 1
        else:
            left = _leave_part(inode.durable, change, rng)
            tally.writes_lost += 1
            tally.writes_torn += left > 0
            tally.bytes_torn += len(change.data) - left if left else 0
            tally.bytes_lost += len(change.data) - left
    inode.unsynced = []
    inode.seen = bytearray(inode.durable)


def _tear(inode: _Inode, rng: Random, tally: _Tally) -> None:
    """Tear every unsynced write: of several sectors some are kept and some lost, of a single one only its length stays.

    Truncations are kept or lost as in any power loss.
    """
    for change in inode.unsynced:
        if isinstance(change, Truncate):
            kept = rng.getrandbits(1)
            if kept:
                _replay(inode.durable, change)
            tally.truncations_lost += not kept
        elif change.data:
            lost = _keep_some_sectors(inode.durable, change, rng)
            tally.writes_lost += 1
            tally.writes_torn += 1
            tally.bytes_lost += lost
            tally.bytes_torn += lost
    inode.unsynced = []
    inode.seen = bytearray(inode.durable)


def _keep_some_sectors(contents: bytearray, write: Pwrite, rng: Random) -> int:
    """Apply a write without some of its sectors. Returns the bytes lost."""
    end = write.offset + len(write.data)
    first = write.offset // SECTOR_BYTES
    sectors = -(-end // SECTOR_BYTES) - first
    kept = [bool(rng.getrandbits(1)) for _ in range(sectors)]
    sure = int(rng.random() * sectors)
    kept[sure] = False
    lost = 0
    _extend(contents, end)
    for place, keep in enumerate(kept):
        begins = max(write.offset, (first + place) * SECTOR_BYTES)
        ends = min(end, (first + place + 1) * SECTOR_BYTES)
        if keep:
            _write(contents, begins, write.data[begins - write.offset : ends - write.offset])
        else:
            lost += ends - begins
    return lost


def _places(rng: Random, count: int, size: int, shares: int) -> list[int]:
    """Up to a share of `count` different numbers below `size`."""
    wanted = -(-count // shares)
    return list(dict.fromkeys(int(rng.random() * size) for _ in range(wanted)))


def _leave_part(contents: bytearray, write: Pwrite, rng: Random) -> int:
    """Apply a prefix of a write that ends at a sector's end (or only its length) and return the bytes applied."""
    fate = rng.getrandbits(2)
    if fate == 0:
        _extend(contents, write.offset + len(write.data))
        return 0
    end = write.offset + len(write.data)
    first_cut = (write.offset // SECTOR_BYTES + 1) * SECTOR_BYTES
    if fate == 1 or first_cut >= end:
        return 0
    cuts = (end - 1 - first_cut) // SECTOR_BYTES + 1
    kept = first_cut + int(rng.random() * cuts) * SECTOR_BYTES - write.offset
    _write(contents, write.offset, write.data[:kept])
    return kept


def _check_not_negative(path: str, number: int) -> None:
    if number < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)


def _make_durable(inode: _Inode) -> None:
    for change in inode.unsynced:
        _replay(inode.durable, change)
    inode.unsynced.clear()


def _replay(contents: bytearray, change: Pwrite | Truncate) -> None:
    if isinstance(change, Truncate):
        _resize(contents, change.size)
    else:
        _write(contents, change.offset, change.data)


def _write(contents: bytearray, offset: int, data: bytes) -> None:
    if data:
        _extend(contents, offset)
        contents[offset : offset + len(data)] = data


def _extend(contents: bytearray, size: int) -> None:
    if size > len(contents):
        contents.extend(bytes(size - len(contents)))


def _resize(contents: bytearray, size: int) -> None:
    del contents[size:]
    _extend(contents, size)


def _apply(names: dict[str, _Inode], change: _NameChange) -> None:
    for name, inode in change.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _distinct(inodes: tuple[_Inode, ...]) -> list[_Inode]:
    return list({id(inode): inode for inode in inodes}.values())


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def _base(path: str) -> str:
    return path.rpartition("/")[2]
