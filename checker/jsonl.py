"""The `.jsonl` files of a run: one header line, then one record a line, in order, on disk before anything judges them.

Here belong the writer and the reader of such files, for every record type of `checker.records`; not the meaning of the
records. A killed harness leaves an unterminated last line: that one is dropped with a warning, when the caller says
that the run has no end mark. Any other broken line is an error with file and line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from checker.errors import MalformedInput
from checker.records import FORMAT_VERSION, Header

__all__ = ["JsonlMemory", "JsonlWriter", "LineWriter", "Lines", "read_jsonl"]

Line = TypeVar("Line")

DEPTH_MAX = 64
"""Nesting that a record may have; deeper input is refused, not recursed into."""

_BRACKETS = re.compile(rb"[\[\]{}]")


class LineWriter(Protocol):
    """Takes records in order."""

    def append(self, *records: msgspec.Struct) -> None:
        """Take `records`, in order, all of them or none."""
        ...

    def append_lines(self, lines: bytes) -> None:
        """Take whole lines that are encoded already; as `append`."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class JsonlWriter:
    """Appends records to a new file. Every `append` reaches the operating system before it returns.

    A crash of the process then loses nothing but the line being written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._file = path.open("xb", buffering=0)
        self._encoder = msgspec.json.Encoder()
        self._size = 0
        self.append(header)

    def append(self, *records: msgspec.Struct) -> None:
        """Write `records`, in order, in one system call; all of them or, with an OSError that names the file, none.

        A disk that is nearly full takes a part of what it is given: the rest is tried again, and if that fails, the
        part is taken back, so that the file ends with a whole line.
        """
        self.append_lines(self._encoder.encode_lines(records))

    def append_lines(self, lines: bytes) -> None:
        """Write whole lines that are encoded already; as `append`."""
        written = 0
        try:
            while written < len(lines):
                written += self._file.write(lines[written:])
        except OSError as error:
            if written:
                self._file.truncate(self._size)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._size += written

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonlMemory:
    """Lines that never reach a disk, for runs of which nothing is to be kept. They are bytes all the same: what is read
    back has been encoded and decoded, so it is equal to what a file would have given."""

    def __init__(self, line_type: Any) -> None:
        self._parts: list[bytes] = []
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(line_type)

    def append(self, *records: msgspec.Struct) -> None:
        """Take `records`, in order."""
        self.append_lines(self._encoder.encode_lines(records))

    def append_lines(self, lines: bytes) -> None:
        """Take whole lines that are encoded already."""
        self._parts.append(lines)

    def close(self) -> None:
        """Nothing to release."""

    def read(self) -> tuple[Any, ...]:
        """All records so far, in order."""
        return tuple(self._decoder.decode_lines(b"".join(self._parts)))


@dataclass(frozen=True, slots=True)
class Lines(Generic[Line]):
    """A file's records in order."""

    header: Header
    records: tuple[Line, ...]
    warnings: tuple[str, ...] = ()


def read_jsonl(path: Path, line_type: Any, *, format: str, complete: bool = True) -> Lines[Any]:  # noqa: A002
    """Read a file whose records are `line_type` (a struct or a union of structs) and whose header says `format`.

    complete: the run has its end mark; if not, an unterminated last line is dropped with a warning.
    Raises MalformedInput with the line number.
    """
    content = _read(path)
    whole = content.rfind(b"\n") + 1
    warnings: tuple[str, ...] = ()
    if whole < len(content) and complete:
        content += b"\n"
    elif whole < len(content):
        number = content.count(b"\n") + 1
        warnings = (f"{path}:{number}: the unterminated last line was dropped: the run was cut off there",)
        content = content[:whole]
    if not content:
        raise MalformedInput(path, None, "the file is empty; expected a header line", fix="was the run ever started?")
    first, _, body = content.partition(b"\n")
    header = _header(path, first, format)
    decoder = msgspec.json.Decoder(line_type)
    # Only a history's values may be anything, and so nest without end.
    may_nest = format == "histrio/history" and any(map(_is_deep, body.split(b"\n")))
    records = None if may_nest else _decoded_at_once(body, decoder)
    if records is None:
        records = _decoded_line_by_line(body, decoder, path, format)
    return Lines(header, tuple(records), warnings)


def _decoded_at_once(body: bytes, decoder: msgspec.json.Decoder[Any]) -> list[Any] | None:
    """All records, three times as fast as one by one; None unless each line is one record, of the right kind.

    The decoder takes any white space between records. As many line ends as records, and each but the last of them
    between two records: so every line holds exactly one.
    """
    try:
        records = decoder.decode_lines(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    one_a_line = body.count(b"\n") == len(records) and body.count(b"}\n{") == max(len(records) - 1, 0)
    return records if one_a_line else None


def _decoded_line_by_line(body: bytes, decoder: msgspec.json.Decoder[Any], path: Path, expected: str) -> list[Any]:
    """All records, or the number of the line that is broken."""
    records = []
    for number, line in enumerate(body.split(b"\n")[:-1], start=2):
        if _is_deep(line):
            raise MalformedInput(path, number, f"nested more than {DEPTH_MAX} deep")
        try:
            records.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedInput(path, number, f"not a line of {expected}: {error}") from None
    return records


def _is_deep(line: bytes) -> bool:
    """Whether brackets nest too deep, those in strings included; nearly always decided by counting them."""
    if line.count(b"[") + line.count(b"{") <= DEPTH_MAX:
        return False
    depth = deepest = 0
    for bracket in _BRACKETS.findall(line):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > DEPTH_MAX


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedInput(path, None, f"cannot be read: {error.strerror}") from None


def _header(path: Path, line: bytes, expected: str) -> Header:
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedInput(
            path, 1, f"not a header line: {error}", fix=f'expected {{"format": "{expected}", …}}'
        ) from None
    if header.format != expected:
        raise MalformedInput(path, 1, f"this is a {header.format} file, expected {expected}")
    if header.version > FORMAT_VERSION:
        raise MalformedInput(
            path, 1, f"format version {header.version} is newer than {FORMAT_VERSION}", fix="update histrio"
        )
    return header
