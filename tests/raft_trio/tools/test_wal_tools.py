"""Logs on a real disk, whole and damaged, through the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from raft_trio.__main__ import main
from raft_trio.core.ready import Persist
from raft_trio.errors import Corrupt
from raft_trio.shell.disk import DataDirectory
from raft_trio.storage.records import CODEC
from raft_trio.storage.recovery import SEGMENT_SUFFIX, segment_path
from raft_trio.storage.wal import Wal
from raft_trio.tools.wal import Damage, find_damage
from raft_trio.types import EntryType, HardState, LogEntry

ENTRIES = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three segments with room behind the end, as a running node has them."""
    directory = DataDirectory(tmp_path)
    wal, _ = Wal.recover(directory, "n1", CODEC, segment_bytes=700)
    for token in range(1, ENTRIES + 1):
        entry = LogEntry(token, 3, EntryType.COMMAND, data=b"x" * 60)
        for op in wal.append(Persist(token, None, (entry,), HardState(3, "n2", 0), must_sync=True)).ops:
            directory(op)
    directory.fill_last(SEGMENT_SUFFIX, 700)
    directory.close()
    assert len(list(tmp_path.glob("*.wal"))) == 3
    return tmp_path


def spoil(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".wal", ".damaged")}


def test_a_whole_log_is_dumped_and_verified_and_nothing_is_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    assert main(["wal", "dump", str(folder)]) == 0
    dumped = capsys.readouterr().out
    assert "segment 1 of n1" in dumped
    assert all(f"entries {k}..{k} of term 3" in dumped for k in range(1, ENTRIES + 1))
    assert "term 3, voted for n2" in dumped
    assert "no frame" not in dumped
    assert main(["wal", "verify", str(folder)]) == 0
    assert f"n1: term 3, voted for n2, no snapshot, {ENTRIES} entries from 1 on" in capsys.readouterr().out
    assert main(["wal", "repair", str(folder), "--cut"]) == 0
    assert "nothing is damaged" in capsys.readouterr().out
    assert contents(folder) == before


def test_damage_in_the_middle_is_found_and_cut_only_when_told_to_and_nothing_is_thrown_away(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = folder / segment_path(2)
    before = contents(folder)
    spoil(second, len(before[second.name]) // 2)
    damaged = contents(folder)
    assert main(["wal", "verify", str(folder)]) == 65
    assert "corrupt" in capsys.readouterr().err
    assert main(["wal", "dump", str(folder)]) == 0
    assert "no frame; " in capsys.readouterr().out
    assert main(["wal", "repair", str(folder)]) == 65
    assert contents(folder) == damaged
    assert "1 later segments" in capsys.readouterr().out
    assert main(["wal", "repair", str(folder), "--cut"]) == 0
    assert main(["wal", "verify", str(folder)]) == 0
    kept = contents(folder)
    assert kept[second.name + ".damaged"] == damaged[second.name]
    assert kept[segment_path(3) + ".damaged"] == damaged[segment_path(3)]
    assert damaged[second.name].startswith(kept[second.name])


def test_damage_at_any_byte_is_found_where_it_is(folder: Path) -> None:
    """Or the log recovers without it, where it was a write that nobody had been promised."""
    last = folder / segment_path(3)
    whole = last.read_bytes()
    end = len(whole.rstrip(b"\0"))
    found = set()
    for offset in range(0, end, 7):
        spoil(last, offset)
        damage = find_damage(folder)
        assert isinstance(damage, Damage)
        assert damage.path == last
        assert damage.offset <= offset
        found.add(damage.offset)
        last.write_bytes(whole)
    assert len(found) == 4, "its header, the hard state, two batches"
    assert find_damage(folder) is None


def test_a_folder_without_a_log_and_a_log_without_headers_are_named(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for action in ("dump", "verify", "repair"):
        assert main(["wal", action, str(tmp_path / "empty")]) == 64
        assert "holds no log" in capsys.readouterr().err
    for path in folder.glob("*.wal"):
        path.write_bytes(b"\0" * 100)
    assert main(["wal", "verify", str(folder)]) == 65


def test_the_log_of_a_running_node_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder / segment_path(2), 100)
    running = DataDirectory(folder)
    assert main(["wal", "verify", str(folder)]) == 70
    assert main(["wal", "repair", str(folder), "--cut"]) == 70
    assert "in use" in capsys.readouterr().err
    running.close()
    with pytest.raises(Corrupt):
        Wal.recover(DataDirectory(folder), "n1", CODEC)
