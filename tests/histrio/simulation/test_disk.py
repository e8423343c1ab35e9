"""Durability as `raft_trio.files` promises it and no more (POSIX; Pillai et al., OSDI'14)."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histrio.simulation.disk import SECTOR_BYTES, Disk, DiskLoss
from raft_trio.files import FileOp, ListDir, Pwrite, Read, Rename, Sync, SyncDir, Truncate, Unlink

SEEDS = range(64)


def after_power_loss(*ops: FileOp, seed: int) -> tuple[dict[str, bytes], DiskLoss]:
    disk = Disk()
    for op in ops:
        disk.execute(op)
    loss = disk.power_loss(Random(seed))
    return dict(disk.files()), loss


DURABLE = (Pwrite("log", 0, b"synced"), Sync("log"), SyncDir(""))


def test_synced_contents_under_a_synced_name_survive_every_power_loss() -> None:
    for seed in SEEDS:
        assert after_power_loss(*DURABLE, seed=seed) == ({"log": b"synced"}, DiskLoss())


def test_a_file_whose_directory_was_never_synced_may_vanish_or_stay() -> None:
    outcomes = [after_power_loss(Pwrite("log", 0, b"x"), Sync("log"), seed=seed) for seed in SEEDS]
    assert {tuple(files.items()) for files, _ in outcomes} == {(), (("log", b"x"),)}
    assert all(loss.names_lost == (files == {}) for files, loss in outcomes)


def test_an_unsynced_write_is_kept_or_lost_or_leaves_only_its_length() -> None:
    outcomes = [after_power_loss(*DURABLE, Pwrite("log", 6, b"tail"), seed=seed) for seed in SEEDS]
    assert {files["log"] for files, _ in outcomes} == {b"synced", b"syncedtail", b"synced\0\0\0\0"}
    assert all(loss.bytes_lost == (0 if files["log"].endswith(b"tail") else 4) for files, loss in outcomes)


def test_a_torn_write_leaves_a_prefix_of_whole_sectors() -> None:
    """The write begins within a sector; what is left ends at a sector's end, and the count says what is missing."""
    data = bytes(range(1, 256)) * 8
    torn = set[int]()
    for seed in SEEDS:
        files, loss = after_power_loss(*DURABLE, Pwrite("log", 6, data), seed=seed)
        left = files["log"][6:]
        if loss.writes_torn:
            assert data.startswith(left)
            assert len(files["log"]) % SECTOR_BYTES == 0
            assert loss.bytes_lost == len(data) - len(left)
            torn.add(len(files["log"]) // SECTOR_BYTES)
    assert torn == {1, 2, 3}


def test_a_write_of_whole_sectors_that_is_torn_is_never_whole() -> None:
    losses = [after_power_loss(*DURABLE, Pwrite("log", SECTOR_BYTES, b"x" * 1_024), seed=seed)[1] for seed in SEEDS]
    assert {loss.bytes_lost for loss in losses if loss.writes_torn} == {512}


def test_unsynced_writes_survive_in_any_combination() -> None:
    writes = [Pwrite("log", 6 + number, b"%d" % number) for number in range(3)]
    survivors = {after_power_loss(*DURABLE, *writes, seed=seed)[0]["log"].ljust(9, b"\0") for seed in range(200)}
    assert survivors == {
        b"synced" + bytes(sum(pair, ())) for pair in [((a, b, c),) for a in (0, 48) for b in (0, 49) for c in (0, 50)]
    }


def test_a_rename_is_atomic_and_durable_after_its_directory_is_synced() -> None:
    ops = (*DURABLE, Pwrite("new", 0, b"newer"), Sync("new"), Rename("new", "log"))
    unsynced = {tuple(after_power_loss(*ops, seed=seed)[0].items()) for seed in SEEDS}
    assert unsynced == {
        (("log", b"synced"),),
        (("log", b"newer"),),
        (("log", b"synced"), ("new", b"newer")),
    }
    for seed in SEEDS:
        assert after_power_loss(*ops, SyncDir(""), seed=seed)[0] == {"log": b"newer"}


def test_a_rename_across_directories_drags_earlier_changes_of_its_names_along() -> None:
    """Or a name synced away could come back beside its successor."""
    ops = (Pwrite("a/x", 0, b"1"), Sync("a/x"), Rename("a/x", "b/y"), SyncDir("b"))
    for seed in SEEDS:
        assert after_power_loss(*ops, seed=seed)[0] == {"b/y": b"1"}


def test_changes_that_wait_for_their_directory_keep_their_order_when_another_is_synced() -> None:
    ops = (Pwrite("x", 0, b"1"), Sync("x"), Rename("x", "y"), Pwrite("d/z", 0, b""), SyncDir("d"), SyncDir(""))
    for seed in SEEDS:
        assert after_power_loss(*ops, seed=seed)[0] == {"d/z": b"", "y": b"1"}


def test_syncing_one_directory_leaves_the_other_in_doubt() -> None:
    ops = (Pwrite("a/x", 0, b"1"), Sync("a/x"), Pwrite("y", 0, b"2"), Sync("y"), SyncDir(""))
    assert {tuple(after_power_loss(*ops, seed=seed)[0]) for seed in SEEDS} == {("y",), ("a/x", "y")}


def test_an_unlink_or_a_truncation_that_was_not_synced_may_come_undone() -> None:
    unlinked = [after_power_loss(*DURABLE, Unlink("log"), seed=seed) for seed in SEEDS]
    assert {tuple(files) for files, _ in unlinked} == {(), ("log",)}
    truncated = [after_power_loss(*DURABLE, Truncate("log", 2), seed=seed) for seed in SEEDS]
    assert {files["log"] for files, _ in truncated} == {b"sy", b"synced"}
    assert all(loss.truncations_lost == (files["log"] == b"synced") for files, loss in truncated)


def test_after_a_power_loss_what_is_left_is_durable() -> None:
    disk = Disk()
    for number in range(20):
        disk.execute(Pwrite(f"f{number}", 0, b"x" * 2_000))
    disk.power_loss(Random(5))
    left = disk.files()
    assert disk.power_loss(Random(6)) == DiskLoss()
    assert disk.files() == left


@pytest.mark.parametrize("op", [Read("no"), Sync("no"), Truncate("no", 0), Unlink("no"), Rename("no", "log")])
def test_operations_on_a_missing_file_fail_as_the_system_would(op: FileOp) -> None:
    with pytest.raises(FileNotFoundError, match="no"):
        Disk().execute(op)


@pytest.mark.parametrize("op", [Pwrite("log", -1, b"x"), Truncate("log", -1)])
def test_negative_places_are_invalid(op: FileOp) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        Disk().execute(op)


def test_listing_names_files_of_one_directory_in_order() -> None:
    disk = Disk()
    for path in ("b", "a", "snap/2", "snap/1"):
        disk.execute(Pwrite(path, 0, b""))
    assert (disk.execute(ListDir("")), disk.execute(ListDir("snap"))) == (("a", "b"), ("1", "2"))


# ── against a naive oracle ───────────────────────────────────────────────────────────────────────────────────────────

PATHS = ("a", "b")
path = st.sampled_from(PATHS)
operation = st.one_of(
    st.builds(Pwrite, path, st.integers(0, 1_200), st.binary(min_size=1, max_size=4).map(lambda data: data * 300)),
    st.builds(Sync, path),
    st.builds(Truncate, path, st.integers(0, 1_500)),
    st.builds(Rename, path, path),
    st.builds(Unlink, path),
    st.just(SyncDir("")),
)


class Oracle:
    """A dictionary of bytes, and for each file the bytes that nothing may take away.

    `firm` maps offset to byte for contents that were synced and not touched since; `settled` says that no change of
    any name is waiting for a sync.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.firm: dict[str, dict[int, int]] = {}
        self.settled = True

    def execute(self, op: FileOp) -> None:
        match op:
            case Pwrite(path=path, offset=offset, data=data):
                self.settled &= path in self.files
                before = self.files.get(path, b"").ljust(offset, b"\0")
                self.files[path] = before[:offset] + data + before[offset + len(data) :]
                self._touch(path, offset, offset + len(data))
            case Truncate(path=path, size=size):
                self.files[path] = self.files[path][:size].ljust(size, b"\0")
                self._touch(path, size, 10**9)
            case Sync(path=path):
                self.firm[path] = dict(enumerate(self.files[path]))
            case Rename(source=source, target=target) if source != target:
                self.settled = False
                self.files[target], self.firm[target] = self.files.pop(source), self.firm.pop(source, {})
            case Unlink(path=path):
                self.settled = False
                del self.files[path]
                self.firm.pop(path, None)
            case SyncDir():
                self.settled = True
            case _:
                pass

    def _touch(self, path: str, begin: int, end: int) -> None:
        firm = self.firm.get(path, {})
        self.firm[path] = {offset: byte for offset, byte in firm.items() if not begin <= offset < end}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(ops=st.lists(operation, max_size=14), seed=st.integers(0, 2**32))
def test_every_synced_byte_is_there_after_a_power_loss_and_none_that_was_never_written(
    ops: list[FileOp], seed: int
) -> None:
    disk, oracle = Disk(), Oracle()
    written = {0}
    for op in ops:
        try:
            disk.execute(op)
        except FileNotFoundError:
            continue
        oracle.execute(op)
        if isinstance(op, Pwrite):
            written.update(op.data)
    assert disk.files() == dict(sorted(oracle.files.items()))
    disk.power_loss(Random(seed))
    survivors = disk.files()
    assert all(set(contents) <= written for contents in survivors.values())
    if oracle.settled:
        assert survivors.keys() == oracle.files.keys()
        for name, firm in oracle.firm.items():
            assert {offset: survivors[name][offset] for offset in firm} == firm
