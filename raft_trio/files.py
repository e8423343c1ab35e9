"""The file interface: disk operations as data, so that a log on disk can be written without doing any I/O.

A sans-IO writer returns `FileBatch`es; a thread, a simulated disk or a fault-injecting one executes them and reports
`FileBatchDone`. Reading happens only at start, one operation at a time, through a `FileExecutor`. Nothing here knows
what the bytes mean. Durability is POSIX's: `Sync` makes the contents and size of one file durable, `SyncDir` the names
in a directory; anything else may be lost, kept or torn by a power loss, in any combination (OSDI'14, ALICE).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = [
    "FileBatch",
    "FileExecutor",
    "FileOp",
    "FileResult",
    "ListDir",
    "Pwrite",
    "Read",
    "Rename",
    "Sync",
    "SyncDir",
    "Truncate",
    "Unlink",
]


class Pwrite(msgspec.Struct, frozen=True, gc=False, tag="pwrite"):
    """Write `data` at byte `offset`, extending the file with zeros where needed; creates the file."""

    path: str
    offset: int
    data: bytes


class Sync(msgspec.Struct, frozen=True, gc=False, tag="sync"):
    """Make the file's contents and size durable (fdatasync)."""

    path: str


class Truncate(msgspec.Struct, frozen=True, gc=False, tag="truncate"):
    """Set the file's size in bytes."""

    path: str
    size: int


class Rename(msgspec.Struct, frozen=True, gc=False, tag="rename"):
    """Replace `target` by `source` atomically; durable after `SyncDir`."""

    source: str
    target: str


class Unlink(msgspec.Struct, frozen=True, gc=False, tag="unlink"):
    """Remove a name; durable after `SyncDir`."""

    path: str


class SyncDir(msgspec.Struct, frozen=True, gc=False, tag="sync_dir"):
    """Make the names in a directory durable; the data directory itself is `""`."""

    path: str


class Read(msgspec.Struct, frozen=True, gc=False, tag="read"):
    """Whole contents of a file; the result is `bytes`."""

    path: str


class ListDir(msgspec.Struct, frozen=True, gc=False, tag="list"):
    """Sorted names of the files in a directory; the result is `tuple[str, ...]`."""

    path: str


FileOp = Pwrite | Sync | Truncate | Rename | Unlink | SyncDir | Read | ListDir
FileResult = bytes | tuple[str, ...] | None

FileExecutor = Callable[[FileOp], FileResult]
"""Executes one operation at once. Raises OSError (FileNotFoundError for a missing file) as the system would."""


class FileBatch(msgspec.Struct, frozen=True, gc=False):
    """Operations to execute in order; the first error ends the batch. `token` names the batch in its completion."""

    token: int
    ops: tuple[FileOp, ...]
