"""The write-ahead log against a naive list, under power loss, crashes at every write, and damage."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_trio.core.ready import Persist, Recovered
from raft_trio.errors import Corrupt
from raft_trio.files import FileBatch, FileOp, FileResult, ListDir, Pwrite, Read, Sync, SyncDir, Truncate
from raft_trio.storage.records import CODEC, encode_frame, frame_at
from raft_trio.storage.recovery import segment_path
from raft_trio.storage.wal import Wal
from raft_trio.types import EntryType, HardState, LogEntry
from tests.raft_trio.disk import FillingDisk, MemoryDisk

NODE = "n1"
SMALL = 700
"""Bytes of a segment in these tests: a few batches each."""


def entry(index: int, term: int, data: bytes = b"x") -> LogEntry:
    return LogEntry(index, term, EntryType.COMMAND, f"o{index}.{term}", 7, index, data)


def opened(disk: MemoryDisk, *, segment_bytes: int = SMALL) -> tuple[Wal, Recovered]:
    return Wal.recover(disk, NODE, CODEC, segment_bytes=segment_bytes)


class Workload:
    """Random batches as a core would ask for them, and what the log must be after each."""

    def __init__(self, random: Random, start: Recovered) -> None:
        self._random = random
        self.entries = list(start.entries)
        self.hard_state = start.hard_state
        self._token = 0

    def next(self) -> Persist:
        random = self._random
        truncate_from = None
        self._token += 1
        if self.entries and random.random() < 0.2:
            truncate_from = random.randint(1, len(self.entries))
            del self.entries[truncate_from - 1 :]
        added = tuple(
            entry(len(self.entries) + k, self.hard_state.term, random.randbytes(random.randrange(60)))
            for k in range(1, random.randint(1, 4))
        )
        self.entries += added
        hard_state = None
        if random.random() < 0.5:
            self.hard_state = HardState(self.hard_state.term + random.randrange(2), random.choice((None, "n2")), 0)
            hard_state = self.hard_state
        must_sync = bool(added) or truncate_from is not None or random.random() < 0.3
        return Persist(self._token, truncate_from, added, hard_state, must_sync)

    def state(self) -> Recovered:
        return Recovered(self.hard_state, tuple(self.entries))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), disk_type=st.sampled_from([MemoryDisk, FillingDisk]))
def test_what_was_synced_survives_power_loss_and_what_survives_is_a_prefix_of_what_was_written(
    seed: int, disk_type: type[MemoryDisk]
) -> None:
    """Raft Figure 2, persistent state; raft.md §5: a torn tail is dropped, synced data never is."""
    random = Random(seed)
    disk = disk_type()
    for _ in range(3):
        wal, recovered = opened(disk)
        workload = Workload(random, recovered)
        states, synced = [recovered], 0
        for _ in range(random.randrange(12)):
            persist = workload.next()
            batch = wal.append(persist)
            if random.random() < 0.1:
                _execute_partly(disk, batch, random)
                states.append(workload.state())
                break
            disk.execute(batch)
            states.append(workload.state())
            if persist.must_sync:
                synced = len(states) - 1
            if random.random() < 0.8:
                wal.done(persist.token)
        if random.random() < 0.7:
            disk.power_loss(random)
        else:
            synced = 0  # the process alone crashed: nothing is lost, a partly executed batch may be torn
        _, after = opened(disk)
        assert after in states[synced:]


def _execute_partly(disk: MemoryDisk, batch: FileBatch, random: Random) -> None:
    for op in batch.ops[: random.randrange(len(batch.ops) + 1)]:
        disk(op)


def recorded_workload(disk: MemoryDisk) -> tuple[list[FileOp], list[tuple[int, Recovered]]]:
    """Operations of a small fixed workload over three segments; per sync, its place and the state it makes durable."""
    random = Random("recorded")
    wal, recovered = opened(disk)
    workload, marks = Workload(random, recovered), [(len(disk.ops), recovered)]
    while segment_path(3) not in disk.files:
        persist = workload.next()
        disk.execute(wal.append(persist))
        wal.done(persist.token)
        if persist.must_sync:
            marks.append((len(disk.ops), workload.state()))
    return disk.ops, marks


@pytest.mark.parametrize("disk_type", [MemoryDisk, FillingDisk])
def test_every_crash_point_of_a_recorded_workload_recovers_at_least_what_was_synced(
    disk_type: type[MemoryDisk],
) -> None:
    """Each operation is a crash point, each with several outcomes of the power loss (OSDI'14, ALICE)."""
    ops, marks = recorded_workload(disk_type())
    states = [state for _, state in marks]
    for crash_at in range(len(ops) + 1):
        durable = sum(position <= crash_at for position, _ in marks) - 1
        for trial in range(6):
            disk = disk_type()
            for op in ops[:crash_at]:
                disk(op)
            disk.power_loss(Random(f"{crash_at}/{trial}"))
            _, after = opened(disk)
            if durable >= 0:
                synced = states[durable]
                assert after.hard_state.term >= synced.hard_state.term
                assert after == synced or after not in states[:durable]
            again, twice = opened(disk)
            assert twice == after
            disk.execute(again.append(Persist(1, None, (entry(len(after.entries) + 1, 99),), None, must_sync=True)))
            assert opened(disk)[1].entries[-1].term == 99


def filled(batches: int = 6) -> tuple[MemoryDisk, list[int]]:
    """A log in one segment, everything synced and known to be, and the ends of its frames."""
    disk = MemoryDisk()
    wal, _ = opened(disk, segment_bytes=1 << 20)
    ends = [len(disk.files[segment_path(1)])]
    for token in range(1, batches + 1):
        disk.execute(wal.append(Persist(token, None, (entry(token, 1),), HardState(1, "n1", 0), must_sync=True)))
        wal.done(token)
        ends.append(len(disk.files[segment_path(1)]))
    return disk, ends


def flip(disk: MemoryDisk, path: str, position: int) -> None:
    data = bytearray(disk.files[path])
    data[position] ^= 0x40
    disk.files[path] = bytes(data)


def test_a_flipped_bit_anywhere_before_the_last_batch_refuses_to_start() -> None:
    """FAST'18 "Protocol-Aware Recovery"; mutant P8: cutting the log at damage in the middle loses committed writes."""
    _, ends = filled()
    for position in range(ends[-2] - 1):
        disk, _ = filled()
        flip(disk, segment_path(1), position)
        with pytest.raises(Corrupt, match=segment_path(1)):
            opened(disk)


def test_a_refusal_names_file_offset_and_remedy_and_changes_nothing() -> None:
    disk, ends = filled()
    flip(disk, segment_path(1), ends[2] + 3)
    damaged = dict(disk.files)
    with pytest.raises(Corrupt) as caught:
        opened(disk)
    assert f"{segment_path(1)}, byte {ends[2]}" in str(caught.value)
    assert "empty" in caught.value.fix
    assert disk.files == damaged


def test_damage_in_the_last_batch_is_a_torn_tail_and_is_cut_off_durably() -> None:
    disk, ends = filled()
    flip(disk, segment_path(1), ends[-1] - 1)
    disk.ops.clear()
    _, recovered = opened(disk)
    assert [e.index for e in recovered.entries] == [1, 2, 3, 4, 5]
    assert [op for op in disk.ops if not isinstance(op, Read | ListDir)] == [
        Truncate(segment_path(1), ends[-2]),
        Sync(segment_path(1)),
        SyncDir(""),
    ]


def test_a_flipped_bit_in_a_segment_filled_with_zeros_is_told_from_the_room_behind_the_log() -> None:
    """Zeros behind the last batch are no damage; a bit that flips among them is none that matters."""
    disk = FillingDisk()
    wal, _ = opened(disk, segment_bytes=1 << 20)
    for token in (1, 2, 3):
        disk.execute(wal.append(Persist(token, None, (entry(token, 1),), None, must_sync=True)))
        wal.done(token)
    whole = dict(disk.files)
    assert len(opened(disk)[1].entries) == 3
    disk.files = dict(whole)
    flip(disk, segment_path(1), FillingDisk.FILLED_BYTES - 5)
    assert len(opened(disk)[1].entries) == 3
    disk.files = dict(whole)
    flip(disk, segment_path(1), 60)
    with pytest.raises(Corrupt, match="proves that it was synced"):
        opened(disk)


def test_damage_in_a_closed_segment_refuses_to_start() -> None:
    disk, _ = three_segments()
    flip(disk, segment_path(1), len(disk.files[segment_path(1)]) - 1)
    with pytest.raises(Corrupt, match="later segment"):
        opened(disk)


@pytest.mark.parametrize("lost", [1, 2])
def test_a_missing_segment_refuses_to_start(lost: int) -> None:
    disk, _ = three_segments()
    del disk.files[segment_path(lost)]
    with pytest.raises(Corrupt, match="missing"):
        opened(disk)


def test_a_closed_segment_cut_at_a_batch_border_refuses_to_start() -> None:
    """Every frame that is left is whole; only the chain of checksums tells."""
    disk, borders = three_segments()
    disk.files[segment_path(1)] = disk.files[segment_path(1)][: borders[0]]
    with pytest.raises(Corrupt, match=segment_path(2)):
        opened(disk)


def three_segments() -> tuple[MemoryDisk, list[int]]:
    disk, borders = MemoryDisk(), []
    wal, _ = opened(disk)
    token = 0
    while segment_path(3) not in disk.files:
        token += 1
        borders.append(len(disk.files[segment_path(1)]))
        disk.execute(wal.append(Persist(token, None, (entry(token, 1, b"y" * 100),), None, must_sync=True)))
        wal.done(token)
    return disk, borders[1:]


def test_unsynced_batches_may_be_torn_in_any_order() -> None:
    """A hole in a batch that needed no sync, with the next, synced one kept whole behind it, is no corruption."""
    disk = MemoryDisk()
    wal, _ = opened(disk)
    disk.execute(wal.append(Persist(1, None, (entry(1, 1),), None, must_sync=True)))
    wal.done(1)
    start = len(disk.files[segment_path(1)])
    disk.execute(wal.append(Persist(2, None, (), HardState(1, None, 1), must_sync=False)))
    disk.execute(wal.append(Persist(3, None, (entry(2, 1),), None, must_sync=True)))
    flip(disk, segment_path(1), start + 5)
    _, recovered = opened(disk)
    assert recovered == Recovered(HardState(), (entry(1, 1),))


def test_batches_under_way_together_may_be_torn_in_any_order() -> None:
    """Group commit: the second is written before the first is synced, so it proves nothing about it."""
    disk = MemoryDisk()
    wal, _ = opened(disk)
    start = len(disk.files[segment_path(1)])
    first = wal.append(Persist(1, None, (entry(1, 1),), None, must_sync=True))
    second = wal.append(Persist(2, None, (entry(2, 1),), None, must_sync=True))
    for op in (first.ops[0], second.ops[0]):
        disk(op)
    flip(disk, segment_path(1), start + 5)
    _, recovered = opened(disk)
    assert recovered == Recovered()


def test_bytes_of_another_life_of_the_log_are_no_continuation() -> None:
    """Whole frames with the next index, in the right place, but not written behind what is there."""
    lives = []
    for data in (b"one", b"two"):
        disk = MemoryDisk()
        wal, _ = opened(disk)
        for token in (1, 2):
            disk.execute(wal.append(Persist(token, None, (entry(token, 1, data),), None, must_sync=True)))
            wal.done(token)
            lives.append(disk.files[segment_path(1)])
    first, second = lives[2], lives[1][len(lives[0]) :]
    disk.files[segment_path(1)] = first + second
    _, recovered = opened(disk)
    assert recovered.entries == (entry(1, 1, b"two"),)


def test_what_a_killed_process_left_unsynced_is_synced_before_the_node_answers_for_it() -> None:
    """Otherwise: crash of the process, vote or acknowledge from the page cache, then power loss."""
    disk = MemoryDisk()
    wal, _ = opened(disk)
    write = wal.append(Persist(1, None, (entry(1, 1),), HardState(1, "n1", 0), must_sync=True)).ops[0]
    disk(write)
    _, seen = opened(disk)
    disk.power_loss(Random("any"))
    assert opened(disk)[1] == seen


def test_the_directory_of_another_node_is_refused() -> None:
    """A node that started on another's directory could vote twice in a term."""
    disk, _ = filled()
    with pytest.raises(Corrupt, match="'n2'"):
        Wal.recover(disk, "n2", CODEC)


def test_undamaged_bytes_that_are_no_records_refuse_to_start() -> None:
    disk = MemoryDisk()
    opened(disk)
    path = segment_path(1)
    header = disk.files[path]
    first = frame_at(header, 0, CODEC.checksum)
    assert first is not None
    crc = int.from_bytes(header[first.end + 4 : first.end + 8], "little")
    frame, _ = encode_frame(b"\xc1", chain=crc, synced=len(header), checksum=CODEC.checksum)
    disk.files[path] = header + frame
    with pytest.raises(Corrupt, match="no records"):
        opened(disk)


def test_one_persist_is_one_write_and_at_most_one_sync() -> None:
    disk = MemoryDisk()
    wal, _ = opened(disk, segment_bytes=1 << 20)
    batch = wal.append(Persist(1, None, (entry(1, 1), entry(2, 1)), HardState(1, "n1", 0), must_sync=True))
    assert [type(op) for op in batch.ops] == [Pwrite, Sync]
    batch = wal.append(Persist(2, None, (), HardState(1, "n1", 2), must_sync=False))
    assert [type(op) for op in batch.ops] == [Pwrite]
    assert batch.token == 2


def test_a_new_segment_has_a_durable_name_before_a_batch_goes_in() -> None:
    """Mutant P10: without the sync of the directory the whole segment may vanish (ALICE; etcd #6368)."""
    disk = MemoryDisk()
    wal, _ = opened(disk)
    batch = FileBatch(0, ())
    for token in range(1, 20):
        batch = wal.append(Persist(token, None, (entry(token, 1, b"z" * 100),), None, must_sync=True))
        if len(batch.ops) > 2:
            break
    first, second = segment_path(1), segment_path(2)
    kinds = [(type(op), getattr(op, "path", "")) for op in batch.ops]
    assert kinds == [
        (Truncate, first),
        (Sync, first),
        (Pwrite, second),
        (Sync, second),
        (SyncDir, ""),
        (Pwrite, second),
        (Sync, second),
    ]


def test_a_disk_error_during_recovery_is_not_swallowed() -> None:
    def failing(op: FileOp) -> FileResult:
        if isinstance(op, Sync):
            raise OSError(5, "Input/output error")
        return MemoryDisk()(op)

    with pytest.raises(OSError, match="Input/output"):
        Wal.recover(failing, NODE, CODEC)
