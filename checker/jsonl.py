"""The `.jsonl` files of a run: one header line, then one record a line, in order, on disk before anything judges them.

Here belong the writer and the reader of such files, for every record type of `checker.records`; not the meaning of the
records. A killed harness leaves an unterminated last line: that one is dropped with a warning, when the caller says
that the run has no end mark. Any other broken line is an error with file and line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from checker.errors import MalformedInput
from checker.records import FORMAT_VERSION, Header

__all__ = ["JsonlWriter", "Lines", "read_jsonl"]

Line = TypeVar("Line")


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
        lines = self._encoder.encode_lines(records)
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
    lines = content.split(b"\n")
    unterminated = lines.pop()
    warnings: tuple[str, ...] = ()
    if unterminated and complete:
        lines.append(unterminated)
    elif unterminated:
        warnings = (f"{path}:{len(lines) + 1}: the unterminated last line was dropped: the run was cut off there",)
    if not lines:
        raise MalformedInput(path, None, "the file is empty; expected a header line", fix="was the run ever started?")
    header = _header(path, lines[0], format)
    decode = msgspec.json.Decoder(line_type).decode
    records = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            records.append(decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedInput(path, number, f"not a line of {format}: {error}") from None
    return Lines(header, tuple(records), warnings)


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
