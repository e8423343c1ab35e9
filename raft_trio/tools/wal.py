"""`wal dump`, `wal verify`, `wal repair`: looking into the log of a node that does not run.

Reading needs no knowledge of what is damaged; nothing but `repair` changes anything, and that keeps what it removes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from raft_trio.core.ready import Recovered
from raft_trio.errors import ConfigError, Corrupt, IoError
from raft_trio.files import FileOp, FileResult, ListDir, Read
from raft_trio.shell.disk import DataDirectory
from raft_trio.storage.records import (
    CODEC,
    EntriesRecord,
    Frame,
    HardStateRecord,
    Record,
    SegmentHeader,
    frame_at,
    frames_after,
)
from raft_trio.storage.recovery import SEGMENT_SUFFIX
from raft_trio.storage.wal import Wal
from raft_trio.types import NodeId

__all__ = ["Damage", "dump", "find_damage", "repair", "verify"]

SAVED_SUFFIX = ".damaged"
"""Of what `repair` puts aside."""

_header_decoder = msgspec.msgpack.Decoder(SegmentHeader)


class Damage(msgspec.Struct, frozen=True):
    """The first place of a log that is neither a frame nor empty room behind the last one."""

    path: Path
    offset: int
    frames_behind: int
    """Undamaged frames of this file behind it, which a cut loses."""
    segments_behind: tuple[Path, ...]


def dump(folder: Path) -> Iterator[str]:
    """Every frame as a line: where it is, and what it says. Raises ConfigError, IoError."""
    for path in _segments(folder):
        data = _read(path)
        yield f"{path.name}  {len(data)} bytes"
        end = 0
        for frame in _frames(data):
            yield f"{frame.offset:>10}  {_text(frame)}"
            end = frame.end
        if data[end:].strip(b"\0"):
            behind = sum(1 for _ in frames_after(data, end, CODEC.checksum))
            yield f"{end:>10}  no frame; {behind} undamaged ones behind it"


def verify(folder: Path) -> tuple[NodeId, Recovered]:
    """Recovers as a start would, changing nothing: whose log it is, and what it holds. Raises Corrupt, IoError."""
    node = _owner(folder)
    directory = DataDirectory(folder)
    try:

        def look(op: FileOp) -> FileResult:
            return directory(op) if isinstance(op, Read | ListDir) else None

        return node, Wal.recover(look, node, CODEC)[1]
    except OSError as error:
        raise IoError(f"cannot read {folder}", why=str(error)) from error
    finally:
        directory.close()


def find_damage(folder: Path) -> Damage | None:
    """The first damage; None for a log without, whose end may be torn. Raises ConfigError, IoError."""
    segments = _segments(folder)
    for number, path in enumerate(segments):
        data = _read(path)
        end = max((frame.end for frame in _frames(data)), default=0)
        if data[end:].strip(b"\0"):
            behind = sum(1 for _ in frames_after(data, end, CODEC.checksum))
            return Damage(path, end, behind, tuple(segments[number + 1 :]))
    return None


def repair(folder: Path, damage: Damage) -> list[Path]:
    """Cuts the log at the damage, durably; what is cut away is kept in the files returned. Raises IoError.

    The node forgets what it promised there: votes, and entries that clients were told of. Where the others have not
    lost anything, removing the member and adding it anew is the safe way.
    """
    directory = DataDirectory(folder)  # locks it: a node that runs must not lose its log
    try:
        saved = [_save(damage.path), *(_save(path) for path in damage.segments_behind)]
        with damage.path.open("r+b") as file:
            file.truncate(damage.offset)
            os.fsync(file.fileno())
        for path in damage.segments_behind:
            path.unlink()
        _sync_directory(folder)
        return saved
    except OSError as error:
        raise IoError(f"cannot repair {folder}", why=str(error), fix="restore the *.damaged files") from error
    finally:
        directory.close()


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _segments(folder: Path) -> list[Path]:
    paths = sorted(folder.glob(f"*{SEGMENT_SUFFIX}"))
    if not paths:
        raise ConfigError(f"{folder} holds no log", why="a log is files such as 0000000000000001.wal")
    return paths


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IoError(f"cannot read {path}", why=str(error)) from error


def _frames(data: bytes) -> Iterator[Frame]:
    """From the start to the first place where there is none, each one following the one before."""
    offset, chain = 0, None
    while (frame := frame_at(data, offset, CODEC.checksum)) is not None and chain in (None, frame.chain):
        yield frame
        offset, chain = frame.end, frame.crc


def _owner(folder: Path) -> NodeId:
    for path in _segments(folder):
        frame = frame_at(_read(path), 0, CODEC.checksum)
        if frame is not None:
            try:
                return _header_decoder.decode(frame.payload).node
            except msgspec.MsgspecError as error:
                raise Corrupt(f"{path} has no header", why=str(error)) from error
    raise Corrupt(f"no segment of {folder} has an undamaged header")


def _text(frame: Frame) -> str:
    try:
        return "; ".join(_record(record) for record in CODEC.decode(frame.payload))
    except msgspec.MsgspecError:
        pass
    try:
        header = _header_decoder.decode(frame.payload)
    except msgspec.MsgspecError as error:
        return f"undamaged bytes that are no records: {error}"
    return f"segment {header.sequence} of {header.node}, format {header.version}"


def _record(record: Record) -> str:
    if isinstance(record, EntriesRecord):
        entries = record.entries
        if not entries:
            return "no entries"
        size = sum(len(entry.data) for entry in entries)
        return f"entries {entries[0].index}..{entries[-1].index} of term {entries[-1].term}, {size} bytes of data"
    if isinstance(record, HardStateRecord):
        state = record.state
        return f"term {state.term}, voted for {state.voted_for}, commit {state.commit}"
    return msgspec.json.encode(record).decode()


def _save(path: Path) -> Path:
    saved = path.with_name(path.name + SAVED_SUFFIX)
    saved.write_bytes(path.read_bytes())
    with saved.open("rb") as file:
        os.fsync(file.fileno())
    return saved


def _sync_directory(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
