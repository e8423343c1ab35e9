"""Every line of a record file is one record: the reader decodes them all at once, and still says which one is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from checker.errors import MalformedInput
from checker.jsonl import read_jsonl
from checker.records import TraceLine

HEADER = b'{"format":"histrio/trace"}\n'
LINE = b'{"node":"n1","incarnation":1,"seq":%d,"local_ns":5,"event":{"type":"committed","index":3}}'


def read(path: Path, body: bytes) -> list[int]:
    """The numbers of the lines read."""
    path.write_bytes(HEADER + body)
    return [line.seq for line in read_jsonl(path, TraceLine, format="histrio/trace").records]


def test_lines_are_read_in_order(tmp_path: Path) -> None:
    """docs/run-directory.md."""
    assert read(tmp_path / "trace.jsonl", LINE % 1 + b"\n" + LINE % 2 + b"\n") == [1, 2]
    assert read(tmp_path / "empty.jsonl", b"") == []


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        (LINE % 1 + b"\n\n" + LINE % 2 + b"\n", 3),
        (LINE % 1 + LINE % 2 + b"\n\n", 2),
        (LINE % 1 + b" " + LINE % 2 + b"\n\n", 2),
        ((LINE % 1).replace(b',"seq"', b'\n,"seq"') + b"\n", 2),
        ((LINE % 1).replace(b',"seq"', b'\n,"seq"') + b"\n" + LINE % 2 + LINE % 3 + b"\n", 2),
        (LINE % 1 + b"\n" + LINE % 2 + b"}\n" + LINE % 3 + b"\n", 3),
    ],
    ids=["empty line", "two records", "two records and a space", "broken in two", "broken and joined", "one bracket"],
)
def test_what_is_not_one_record_a_line_is_an_error_with_its_line(body: bytes, broken: int, tmp_path: Path) -> None:
    """Architecture §2: any broken line but an unterminated last one is an error with file and line."""
    with pytest.raises(MalformedInput, match=rf"trace\.jsonl:{broken}\b"):
        read(tmp_path / "trace.jsonl", body)
