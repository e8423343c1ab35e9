"""The undo journal against what files were like: a process with the shim changes them, power fails, they are looked at.

The oracle knows nothing of journals: it is a copy of the files at a moment when everything was synced, or what each
file held when it was synced last.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histrio.environments.mechanisms.power import contents
from histrio.environments.preload import build
from histrio.environments.preload.page import Count, Order, Page
from histrio.environments.preload.undo import SECTOR_BYTES, Kind, lose, read_journal, unsynced
from tests.conftest import missing

PROGRAM = """
import json, os, sys
root = sys.argv[1]
for name, *rest in json.loads(sys.argv[2]):
    if name == "dir":
        fd = os.open(root, os.O_RDONLY); os.fsync(fd); os.close(fd); continue
    path = os.path.join(root, rest[0])
    if name == "rename":
        if os.path.exists(path): os.rename(path, os.path.join(root, rest[1]))
    elif name == "unlink":
        if os.path.exists(path): os.unlink(path)
    else:
        flags = {"fresh": os.O_TRUNC | os.O_WRONLY, "append": os.O_APPEND | os.O_WRONLY}.get(name, os.O_RDWR)
        fd = os.open(path, flags | os.O_CREAT, 0o644)
        if name == "sync": os.fsync(fd)
        elif name == "truncate": os.ftruncate(fd, rest[1])
        elif name in ("fresh", "append"): os.write(fd, rest[1].encode())
        else: os.pwrite(fd, rest[1].encode(), rest[2])
        os.close(fd)
"""

Step = tuple[Any, ...]

names = st.sampled_from("abc")
texts = st.integers(1, 1500).flatmap(lambda size: st.sampled_from("xyz").map(lambda letter: letter * size))
writes = st.one_of(
    st.tuples(st.just("write"), names, texts, st.integers(0, 2000)),
    st.tuples(st.just("append"), names, texts),
    st.tuples(st.just("fresh"), names, texts),
    st.tuples(st.just("truncate"), names, st.integers(0, 2000)),
)
changes = st.one_of(writes, st.tuples(st.just("rename"), names, names), st.tuples(st.just("unlink"), names))
SYNC_ALL: list[Step] = [*(("sync", name) for name in "abc"), ("dir",)]


class Disk:
    """A data directory, and processes that have the shim."""

    def __init__(self, folder: Path) -> None:
        if (obstacle := build.obstacle()) is not None:
            missing("shim", obstacle)
        self.data, self.journal, page = folder / "data", folder / "journal", folder / "page"
        self.data.mkdir()
        Page.create(page)
        self.page = Page(page)
        self.page.order(Order.JOURNAL, 1)
        self._environ = {
            **os.environ,
            "LD_PRELOAD": str(build.built()),
            "HISTRIO_SHIM_PAGE": str(page),
            "HISTRIO_SHIM_DATA": str(self.data),
            "HISTRIO_SHIM_JOURNAL": str(self.journal),
        }

    def do(self, steps: Sequence[Step]) -> None:
        """In one process, which then ends as by a kill: what it wrote stays where it is."""
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(self.data), json.dumps(steps)]
        subprocess.run(command, check=True, env=self._environ)

    def lose_power(self, random: Random | None = None) -> dict[str, bytes]:
        draw = None if random is None else (lambda sectors: random.randrange(sectors + 1))
        lose(self.journal, str(self.data), self.data, draw)
        self.page.forget_unsynced()
        return contents(self.data)


few = settings(max_examples=10)


@few
@given(st.lists(changes, max_size=6), st.lists(changes, max_size=6), st.lists(changes, max_size=4))
def test_power_loss_leaves_what_there_was_when_everything_was_synced(
    tmp_path_factory: pytest.TempPathFactory, first: list[Step], then: list[Step], more: list[Step]
) -> None:
    """faults.md, 0.4: exactly the synced bytes are there; a kill in between loses nothing and proves nothing."""
    disk = Disk(tmp_path_factory.mktemp("disk"))
    disk.do([*first, *SYNC_ALL])
    synced = contents(disk.data)
    disk.do(then)
    disk.do(more)
    assert disk.lose_power() == synced
    disk.do([("write", "a", "again", 0)])
    assert disk.lose_power() == synced, "and once more, after a restart"


@few
@given(st.lists(st.one_of(writes, st.tuples(st.just("sync"), names)), max_size=12))
def test_each_file_has_what_it_had_at_its_own_last_sync(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    disk = Disk(tmp_path_factory.mktemp("disk"))
    disk.do(SYNC_ALL)
    expected = dict.fromkeys("abc", b"")
    now = dict(expected)
    for step in steps:
        now[step[1]] = _after(now[step[1]], step)
        if step[0] == "sync":
            expected[step[1]] = now[step[1]]
    disk.do(steps)
    assert contents(disk.data) == now, "the shim changes nothing while power is there"
    assert disk.lose_power() == expected


def _after(data: bytes, step: Step) -> bytes:
    match step:
        case ("write", _, str(text), int(offset)):
            data = data.ljust(offset, b"\0")
            return data[:offset] + text.encode() + data[offset + len(text) :]
        case ("append", _, str(text)):
            return data + text.encode()
        case ("fresh", _, str(text)):
            return text.encode()
        case ("truncate", _, int(size)):
            return data[:size].ljust(size, b"\0")
        case _:
            return data


@few
@given(st.lists(st.tuples(st.just("write"), names, texts, st.integers(0, 2000)), max_size=6), st.integers(0, 1000))
def test_torn_writes_leave_the_beginnings_of_some_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], seed: int
) -> None:
    """What a disk may do with writes that nobody synced: whole sectors of any of them, the others not at all."""
    disk = Disk(tmp_path_factory.mktemp("disk"))
    disk.do(SYNC_ALL)
    disk.do(steps)
    torn = disk.lose_power(Random(seed))
    for name, data in torn.items():
        possible = [{0} for _ in data]
        ends = {0}
        for _, target, text, offset in steps:
            if target == name:
                ends |= {offset + min(part, len(text)) for part in range(0, len(text) + SECTOR_BYTES, SECTOR_BYTES)}
                for at in range(offset, min(len(data), offset + len(text))):
                    possible[at].add(ord(text[0]))
        assert all(byte in letters for byte, letters in zip(data, possible, strict=True))
        assert len(data) in ends


def test_the_journal_is_empty_when_nothing_could_be_lost(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.do([("append", "a", "x" * 100), ("sync", "a")])
    assert [change.kind for change in unsynced(read_journal(disk.journal.read_bytes()))] == []
    assert disk.journal.stat().st_size > 0, "the name of a new file is its directory's"
    disk.do([("dir",)])
    assert disk.journal.stat().st_size == 0
    assert disk.page.count(Count.RECORDS) == 4


def test_a_record_that_was_cut_short_is_of_a_change_that_did_not_happen(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.do([*SYNC_ALL, ("append", "a", "x" * 100), ("append", "a", "y" * 100)])
    whole = disk.journal.read_bytes()
    kinds = [change.kind for change in read_journal(whole)]
    assert kinds == [Kind.WRITE, Kind.WRITE]
    assert [change.kind for change in read_journal(whole[:-1])] == [Kind.WRITE]


def test_names_that_were_removed_or_replaced_come_back_with_what_they_named(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.do([("append", "a", "old a"), ("append", "b", "old b"), ("append", "c", "old c"), *SYNC_ALL])
    synced = contents(disk.data)
    disk.do([("unlink", "a"), ("rename", "b", "c"), ("append", "a", "new a"), ("sync", "c")])
    assert contents(disk.data) == {"a": b"new a", "c": b"old b"}
    assert disk.lose_power() == synced
    disk.do([("unlink", "a"), ("rename", "b", "c"), ("dir",)])
    assert disk.lose_power() == {"c": b"old b"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "journal", "page"], "nothing is kept aside"
