"""Disks that fail, stall and damage what they hold; what they did is counted, and what was damaged can be mended."""

from __future__ import annotations

import errno
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from histrio.simulation.disk import SECTOR_BYTES, Disk
from histrio.simulation.disk_rules import DiskRules, Failing, Misdirection, SlowSyncs
from raft_trio.files import Pwrite, Read, Sync, SyncDir

if TYPE_CHECKING:
    from tests.histrio.simulation.conftest import Actor, World

MS = 1_000_000


def write(node: Actor, token: int = 1, *, sync: bool = True) -> None:
    offset = 10 * (token - 1)
    node.write(token, Pwrite("log", offset, b"0123456789"), *((Sync("log"),) if sync else ()))


def done(world: World, name: str = "n1") -> list[tuple[str, int]]:
    return [(what, token) for _, what, token in world.actor(name).inputs if what in ("io_done", "OSError")]


def fill(disk: Disk, *contents: bytes) -> None:
    """Write one after the other, each synced, each vouching for what was durable before."""
    size = 0
    for data in contents:
        disk.execute(Pwrite("log", size, data))
        disk.execute(Sync("log"))
        disk.vouch("log", size)
        size += len(data)
    disk.execute(SyncDir(""))


# ── operations that fail or take long ────────────────────────────────────────────────────────────────────────────────


def test_operations_of_the_rule_fail_and_are_counted_until_it_is_lifted(world: World) -> None:
    rule = Failing((Pwrite,), errno.ENOSPC)
    world.simulation.disk_rules("n1").failing["f1"] = rule
    for token in (1, 2):
        world.do("n1", lambda node, token=token: write(node, token))  # type: ignore[misc]
        world.run_ms(5)
    del world.simulation.disk_rules("n1").failing["f1"]
    world.do("n1", lambda node: write(node, 3))
    world.run_ms(5)
    assert done(world) == [("OSError", 1), ("OSError", 2), ("io_done", 3)]
    assert rule.count == 2
    assert world.simulation.disk("n1").files()["log"][20:] == b"0123456789"


def test_a_node_that_ends_for_its_disk_is_told_apart_and_returns_when_the_disk_works(world: World) -> None:
    rules = world.simulation.disk_rules("n1")
    rules.failing["f1"] = Failing((Sync,), errno.EIO)
    world.do("n1", write)
    world.run_ms(5)
    world.do("n1", lambda node: node.fail("my log failed"))
    assert [(left.reason, left.disk_at_fault) for left in world.simulation.exits] == [("my log failed", True)]
    world.run_ms(200)
    assert not world.simulation.is_up("n1"), "the disk would end it again"
    del rules.failing["f1"]
    world.restart("n1")
    world.do("n1", lambda node: node.fail("another reason"))
    assert not world.simulation.exits[-1].disk_at_fault
    assert rules.nodes_ended == 1


def test_a_node_that_ends_just_after_its_disk_was_mended_is_started_again(world: World) -> None:
    rules = world.simulation.disk_rules("n1")
    rules.failing["f1"] = Failing((Sync,), errno.EIO)
    world.do("n1", write)
    world.run_ms(5)
    del rules.failing["f1"]
    world.do("n1", lambda node: node.fail("my log failed"))
    world.run_ms(200)
    assert world.simulation.exits[0].disk_at_fault
    assert world.simulation.is_up("n1")


def test_slow_syncs_take_the_delay_longer_each(world: World) -> None:
    rule = world.simulation.disk_rules("n1").slow["f1"] = SlowSyncs(50 * MS)
    world.do("n1", write)
    world.run_ms(45)
    assert done(world) == []
    world.run_ms(10)
    assert (done(world), rule.count) == ([("io_done", 1)], 1)


def test_a_hanging_disk_holds_the_sync_under_way_and_all_later_ones_but_not_the_node(world: World) -> None:
    world.do("n1", write)
    world.simulation.hang_disk("n1", "f1")
    world.do("n1", lambda node: write(node, 2))
    world.run_ms(100)
    world.do("n1", lambda node: node.send("n2", "alive"))
    world.run_ms(5)
    assert done(world) == []
    assert "alive" in world.actor("n2").payloads
    assert world.simulation.disk_rules("n1").release("f1").count == 2
    world.run_ms(5)
    assert done(world) == [("io_done", 1), ("io_done", 2)]


def test_a_killed_node_takes_the_hang_of_its_disk_over_to_its_next_incarnation(world: World) -> None:
    world.simulation.hang_disk("n1", "f1")
    world.kill("n1")
    world.restart("n1")
    world.do("n1", write)
    world.run_ms(50)
    assert done(world) == []
    world.simulation.disk_rules("n1").release("f1")
    world.run_ms(5)
    assert done(world) == [("io_done", 1)]


def test_the_next_write_is_announced_once_and_its_middle_is_before_its_end(world: World) -> None:
    told: list[int] = []
    rules = world.simulation.disk_rules("n1")
    rules.call_at_write(told.append)
    rules.call_at_write(told.append)()
    for token in (1, 2):
        world.do("n1", lambda node, token=token: write(node, token))  # type: ignore[misc]
        world.run_ms(5)
    assert len(told) == 1
    assert told[0] >= MS


# ── torn writes ──────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(0, 2 * SECTOR_BYTES), st.integers(1, 5 * SECTOR_BYTES), st.integers(0, 999))
def test_a_torn_write_keeps_whole_sectors_and_loses_at_least_one(offset: int, size: int, seed: int) -> None:
    disk = Disk()
    fill(disk, b"s" * offset) if offset else disk.execute(Pwrite("log", 0, b""))
    disk.execute(SyncDir(""))
    disk.execute(Pwrite("log", offset, b"w" * size))
    loss = disk.power_loss(Random(seed), tear=True)
    content = disk.files()["log"]
    assert content[:offset] == b"s" * offset
    assert len(content) == offset + size
    lost = content[offset:].count(0)
    assert (loss.bytes_torn, loss.bytes_lost, loss.writes_torn) == (lost, lost, 1)
    assert lost > 0
    for begins in range(0, offset + size, SECTOR_BYTES):
        sector = content[max(begins, offset) : begins + SECTOR_BYTES]
        assert sector in (b"", b"w" * len(sector), bytes(len(sector)))


def test_tearing_power_loss_strikes_the_write_that_the_disk_is_at(world: World) -> None:
    world.do("n1", write)
    report = world.simulation.tear("n1")
    assert (report.unsynced_bytes_at_risk, report.bytes_torn, report.processes_ended) == (10, 10, 1)


def test_a_node_that_is_asked_to_end_finishes_what_it_began_to_write(world: World) -> None:
    def busy(node: Actor) -> None:
        for token in (1, 2, 3):
            write(node, token)

    world.do("n1", busy)
    report = world.simulation.terminate("n1")
    assert (report.processes_ended, report.batches_lost) == (1, 0)
    assert len(world.simulation.disk("n1").files()["log"]) == 30
    assert world.simulation.disk("n1").unsynced_bytes == 0


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.sampled_from([1, 8, 64]), st.integers(0, 999))
def test_flipped_bits_lie_in_what_a_later_synced_write_vouches_for_and_mending_restores_all(
    sizes: list[int], bits: int, seed: int
) -> None:
    disk = Disk()
    fill(disk, *[bytes([65 + number]) * size for number, size in enumerate(sizes)])
    before = disk.files()["log"]
    flipped = disk.flip("f1", bits, Random(seed))
    after = disk.files()["log"]
    changed = [place for place, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert len(changed) == flipped <= bits
    assert flipped > 0 or len(sizes) == 1
    assert all(place < sum(sizes[:-1]) for place in changed), "the last write has nothing behind it"
    assert all((before[place] ^ after[place]).bit_count() == 1 for place in changed)
    disk.mend("f1")
    assert disk.files()["log"] == before
    disk.power_loss(Random(1))
    assert disk.files()["log"] == before


def test_a_write_asked_for_before_the_one_ahead_was_durable_vouches_for_nothing(world: World) -> None:
    """Two writes at once: a power loss might have lost both, so damage to the first could be a torn write."""

    def both(node: Actor) -> None:
        write(node, 1)
        write(node, 2)

    world.do("n1", both)
    world.run_ms(10)
    assert world.simulation.flip_bits("n1", "f1", 1) == 0
    world.do("n1", lambda node: write(node, 3))
    world.run_ms(10)
    assert world.simulation.flip_bits("n1", "f2", 64) > 0


def test_a_misdirected_write_is_told_done_lands_elsewhere_and_is_mended_in_both_places() -> None:
    rules = DiskRules()
    disk, told = Disk(rules), []
    fill(disk, b"a" * 30, b"b" * 10)
    rules.misdirecting["f1"] = rule = Misdirection(Random(3), lambda: told.append("done"))
    disk.execute(Pwrite("log", 40, b"c" * 10))
    disk.execute(Pwrite("log", 50, b"d" * 10))
    disk.execute(Sync("log"))
    content = disk.files()["log"]
    assert content.count(b"c") == 10
    assert content[40:50] == bytes(10)
    assert (rule.count, told, list(rules.damaged)) == (1, ["done"], ["f1"])
    disk.mend("f1")
    assert disk.files()["log"] == b"a" * 30 + b"b" * 10 + b"c" * 10 + b"d" * 10


def test_only_what_was_never_synced_is_cut_off_a_file() -> None:
    disk = Disk()
    fill(disk, b"a" * 30)
    assert disk.cut_off(100) == 0
    disk.execute(Pwrite("log", 30, b"b" * 20))
    assert disk.cut_off(5) == 5
    assert disk.cut_off(100) == 15
    assert disk.execute(Read("log")) == b"a" * 30


def test_a_node_that_runs_on_damaged_data_keeps_it(world: World) -> None:
    for token in (1, 2):
        world.do("n1", lambda node, token=token: write(node, token))  # type: ignore[misc]
        world.run_ms(5)
    assert world.simulation.flip_bits("n1", "f1", 1) == 1
    damaged = world.simulation.disk("n1").files()["log"]
    world.simulation.mend("n1", "f1")
    assert world.simulation.disk("n1").files()["log"] == damaged
