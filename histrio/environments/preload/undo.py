"""Reads the undo journal of a node and takes back what no sync covered: what a disk loses when the power fails.

The journal (journal.c) has one record before every change of the data directory. A record is void once its inode was
synced: a file's for what is in the file, a directory's for its names. Here what is not void is taken back, in reverse
order; with `draw`, parts of it stay, as on a disk that writes sectors in an order of its own.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from histrio.errors import HarnessFailure

__all__ = ["SECTOR_BYTES", "Change", "Kind", "Lost", "lose", "read_journal", "unsynced"]

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""
_HEAD = struct.Struct("<IIQQqqqII")


class Kind(IntEnum):
    """As `enum record` in shim.h."""

    WRITE = 1
    TRUNCATE = 2
    CREATE = 3
    RENAME = 4
    UNLINK = 5
    SYNC = 6


@dataclass(frozen=True, slots=True)
class Change:
    """One record. Paths are as the node saw them."""

    kind: Kind
    number: int
    inode: int
    """Whose sync makes it void: the file's for its content, its directory's for a name."""
    offset: int
    """Of a write and a truncation; the last number covered, of a sync; the file's inode, of a created name."""
    length: int
    old_size: int
    """Of a name that was replaced or removed: not 0 if what it named was kept aside."""
    path: str
    other: str
    old: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """What a power loss came to."""

    changes: int
    bytes_lost: int
    bytes_torn: int
    """Of writes that stayed in part: bytes that did not stay."""


def read_journal(data: bytes) -> list[Change]:
    """All records. A last one that is cut short is left out: the change it announced did not happen."""
    changes: list[Change] = []
    at = 0
    while at + _HEAD.size <= len(data):
        kind, path_size, number, inode, offset, length, old_size, other_size, old_bytes = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        end = at + path_size + other_size + old_bytes
        if end > len(data):
            break
        path, other = data[at : at + path_size], data[at + path_size : at + path_size + other_size]
        old = data[at + path_size + other_size : end]
        at = end
        changes.append(
            Change(Kind(kind), number, inode, offset, length, old_size, os.fsdecode(path), os.fsdecode(other), old)
        )
    return changes


def unsynced(changes: Iterable[Change]) -> list[Change]:
    """Those that no later sync covers, in order."""
    covered: dict[int, int] = {}
    for change in changes:
        if change.kind is Kind.SYNC:
            covered[change.inode] = max(covered.get(change.inode, -1), change.offset)
    left: list[Change] = []
    for change in changes:
        if change.kind is Kind.SYNC or covered.get(change.inode, -1) >= change.number:
            continue
        if change.kind is Kind.CREATE and covered.get(change.offset, -1) >= change.number:
            continue  # as file systems do: who syncs a new file finds it again
        left.append(change)
    return left


def lose(journal: Path, seen: str, data: Path, draw: Callable[[int], int] | None = None) -> Lost:
    """Take back what no sync covered and empty the journal; the node must be down.

    seen, data: the data directory as the node saw it, and as it is here. draw: how many of n sectors of a write stay;
    None: no write stays at all. Raises OSError, HarnessFailure for a journal of something else.
    """
    changes = unsynced(read_journal(journal.read_bytes())) if journal.exists() else []
    places = {entry.stat(follow_symlinks=False).st_ino: Path(entry.path) for entry in _files(data)}
    fresh = _take_back(changes, places, journal, lambda path: _here(path, seen, data))
    torn = _keep_parts(changes, places, fresh, draw) if draw is not None else 0
    for saved in journal.parent.glob(f"{journal.name}.saved.*"):
        saved.unlink()
    journal.write_bytes(b"")
    return Lost(len(changes), sum(map(len, fresh.values())), torn)


def _files(folder: Path) -> Iterable[os.DirEntry[str]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry


def _here(path: str, seen: str, data: Path) -> Path:
    if not path.startswith(f"{seen}/"):
        raise HarnessFailure(f"the undo journal names {path}", why=f"the node's data are in {seen}")
    return data / path[len(seen) + 1 :]


def _take_back(
    changes: list[Change], places: dict[int, Path], journal: Path, here: Callable[[str], Path]
) -> dict[int, bytes]:
    """In reverse order; returns for each write what it had written, by number."""
    fresh: dict[int, bytes] = {}
    for change in reversed(changes):
        saved = journal.with_name(f"{journal.name}.saved.{change.number}")
        match change.kind:
            case Kind.WRITE | Kind.TRUNCATE:
                if change.inode in places:
                    fresh[change.number] = _restore(places[change.inode], change)
            case Kind.CREATE:
                here(change.path).unlink(missing_ok=True)
                places.pop(change.offset, None)
            case Kind.RENAME:
                source, target = here(change.path), here(change.other)
                if target.exists() and target.stat().st_ino == change.offset:
                    target.rename(source)
                    places[change.offset] = source
                if change.old_size and saved.exists():
                    saved.rename(target)
                    places[target.stat().st_ino] = target
            case Kind.UNLINK:
                if saved.exists():
                    saved.rename(here(change.path))
                    places[here(change.path).stat().st_ino] = here(change.path)
            case Kind.SYNC:
                raise AssertionError("syncs are no changes")
    return fresh


def _restore(path: Path, change: Change) -> bytes:
    with path.open("r+b") as file:
        file.seek(change.offset)
        written = file.read(change.length) if change.kind is Kind.WRITE else b""
        file.seek(change.offset)
        file.write(change.old)
        file.truncate(change.old_size)
    return written


def _keep_parts(
    changes: list[Change], places: dict[int, Path], fresh: dict[int, bytes], draw: Callable[[int], int]
) -> int:
    """Some sectors of each write reach the disk after all; what it wrote and did not reach it counts as torn."""
    torn = 0
    for change in changes:
        written = fresh.get(change.number, b"")
        if not written or change.inode not in places:
            continue
        kept = draw(-(-len(written) // SECTOR_BYTES)) * SECTOR_BYTES
        with places[change.inode].open("r+b") as file:
            file.seek(change.offset)
            file.write(written[:kept])
        torn += max(0, len(written) - kept)
    return torn
