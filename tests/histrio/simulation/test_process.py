"""Nodes as processes: batches under load, pauses, kills, restarts, and ends of their own making."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from histrio.simulation.errors import AlreadyExists, EventBudgetSpent, SimulationError, UnknownAddress
from histrio.simulation.process import KillReport, PauseReport
from histrio.simulation.profile import ProcessProfile, Profile
from raft_trio.files import FileExecutor, ListDir, Pwrite, Read, Sync, SyncDir, Truncate

if TYPE_CHECKING:
    from tests.histrio.simulation.conftest import Actor, World

MS = 1_000_000
MakeWorld = type["World"]


def nothing(node: Actor) -> None:
    pass


def kinds(actor: Actor) -> list[str]:
    return [what for _, what, _ in actor.inputs]


# ── service times ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_batches_form_under_load_and_not_without(make_world: MakeWorld, quiet: Profile) -> None:
    """Inputs every 0.1 ms; a flush costs 0.3 ms and an input 0.05 ms, against a processor that costs nothing."""

    def largest_batch(flush_ns: int, input_ns: int) -> int:
        processes = msgspec.structs.replace(quiet.processes, flush_ns=flush_ns, input_ns=input_ns)
        world = make_world(msgspec.structs.replace(quiet, processes=processes))
        for _ in range(100):
            world.tell("n1", nothing)
            world.run_ms(0.1)
        world.run_ms(10)
        flushes = world.actor("n1").flushes[1:]
        assert sum(map(len, flushes)) == 100
        return max(map(len, flushes))

    assert largest_batch(0, 0) == 1
    assert largest_batch(300_000, 50_000) >= 5


def test_one_wish_to_be_woken_replaces_the_other(world: World) -> None:
    def wish(time_ns: int | None) -> Any:
        return lambda node: setattr(node, "wake_at_ns", time_ns)

    now = world.simulation.now_ns
    for wished in (now + 50 * MS, now + 20 * MS, now + 30 * MS):
        world.do("n1", wish(wished))
    world.do("n2", wish(now + 20 * MS))
    world.do("n2", wish(None))
    world.run_ms(100)
    assert [time for time, what, _ in world.actor("n1").inputs if what == "wake"] == [now + 30 * MS]
    assert "wake" not in kinds(world.actor("n2"))


# ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_file_batches_take_their_time_one_after_the_other_and_are_reported(world: World) -> None:
    began = world.simulation.now_ns

    def write(node: Actor) -> None:
        for token in (1, 2, 3):
            node.write(token, Pwrite("log", token, b"x"), Sync("log"))

    world.tell("n1", write)
    world.run_ms(10)
    done = [(time - began, token) for time, what, token in world.actor("n1").inputs if what == "io_done"]
    assert [token for _, token in done] == [1, 2, 3]
    assert [time // MS for time, _ in done] == [1, 2, 3]  # each sync takes 1 ms and a little


def test_the_first_error_ends_a_batch_and_is_reported(world: World) -> None:
    world.tell("n1", lambda node: node.write(7, Pwrite("log", 0, b"x"), Sync("missing"), Pwrite("log", 0, b"y")))
    world.run_ms(10)
    assert world.actor("n1").inputs[-1][1:] == ("FileNotFoundError", 7)
    assert world.simulation.disk("n1").files() == {"log": b"x"}


def test_files_are_read_at_start_and_only_then(make_world: MakeWorld, world: World) -> None:
    def recover(node: Actor, execute: FileExecutor) -> None:
        node.trace((execute(ListDir("")), execute(Read("log"))))

    world.do("n1", lambda node: node.write(1, Pwrite("log", 0, b"kept"), Sync("log")))
    world.run_ms(5)
    world.simulation.kill("n1", power_loss=False)
    world.at_start = recover
    actor = world.restart("n1")
    assert world.traces[-1][-1] == (("log",), b"kept")
    assert actor.execute is not None
    with pytest.raises(SimulationError, match="FileBatch"):
        actor.execute(Read("log"))


# ── kills ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def write_unsynced(world: World) -> None:
    """One file synced with its name, then 4,000 bytes in 40 writes that are not."""
    world.do("n1", lambda node: node.write(1, Pwrite("log", 0, b"firm"), Sync("log"), SyncDir("")))
    world.run_ms(5)
    writes = [Pwrite("log", 4 + 100 * number, b"x" * 100) for number in range(40)]
    world.do("n1", lambda node: node.write(2, *writes))
    world.run_ms(5)


def test_a_kill_keeps_what_the_kernel_was_given(world: World) -> None:
    """faults.md: kill -9 never loses unsynced data; the page cache survives."""
    write_unsynced(world)
    report = world.simulation.kill("n1", power_loss=False)
    assert report == KillReport(incarnation=1, processes_ended=1, connections_broken=1)
    assert world.simulation.disk("n1").files() == {"log": b"firm" + b"x" * 4_000}


def test_a_power_loss_loses_unsynced_writes_and_says_how_much_also_of_a_node_that_was_down(
    make_world: MakeWorld,
) -> None:
    for already_down in (False, True):
        world = make_world()
        write_unsynced(world)
        if already_down:
            world.simulation.kill("n1", power_loss=False)
        report = world.simulation.kill("n1", power_loss=True)
        contents = world.simulation.disk("n1").files()["log"]
        assert contents.startswith(b"firm")
        assert report.processes_ended == (not already_down)
        assert report.unsynced_bytes_lost == 4_000 - contents.count(b"x") > 0
        assert report.writes_lost > 10


def write_three_batches(node: Actor) -> None:
    for token in (1, 2, 3):
        node.write(token, Pwrite("log", 0, b"1"), Sync("log"), Pwrite("log", 1, b"2"), Sync("log"))


def test_a_kill_loses_inputs_and_batches_and_the_running_batch_ends_anywhere(make_world: MakeWorld) -> None:
    lengths = set()
    for seed in range(30):
        world = make_world(seed=seed)
        world.do("n1", write_three_batches)
        world.run_ms(1)
        world.simulation.pause("n1")
        world.do("n1", nothing)
        report = world.simulation.kill("n1", power_loss=False)
        assert report.inputs_lost == 1
        assert report.batches_lost in (2, 3)
        world.run_ms(100)
        lengths.add(len(world.simulation.disk("n1").files().get("log", b"")))
        assert "io_done" not in kinds(world.actor("n1"))
    assert lengths == {0, 1, 2}


def test_each_crash_of_a_node_has_luck_of_its_own(world: World) -> None:
    survivors = set()
    for _ in range(4):
        write_unsynced(world)
        world.kill("n1", power_loss=True)
        survivors.add(world.simulation.disk("n1").files()["log"])
        world.restart("n1")
        world.do("n1", lambda node: node.write(3, Truncate("log", 0), Sync("log")))
        world.run_ms(5)
    assert len(survivors) == 4


def test_a_restart_is_a_new_incarnation_after_a_latency_and_starting_twice_starts_once(world: World) -> None:
    simulation = world.simulation
    assert (simulation.incarnation("n1"), simulation.is_up("n1")) == (1, True)
    simulation.start("n1")
    simulation.kill("n1", power_loss=False)
    assert simulation.kill("n1", power_loss=False) == KillReport(incarnation=1)
    simulation.start("n1")
    simulation.start("n1")
    assert (simulation.is_up("n1"), simulation.is_starting("n1"), simulation.incarnation("n1")) == (False, True, 2)
    world.run_ms(1)
    assert (simulation.is_up("n1"), simulation.is_starting("n1"), world.actor("n1").incarnation) == (True, False, 2)


def test_a_node_killed_while_it_starts_does_not_come_up(world: World) -> None:
    simulation = world.simulation
    simulation.kill("n1", power_loss=False)
    simulation.start("n1")
    assert simulation.kill("n1", power_loss=False).processes_ended == 1
    world.run_ms(10)
    assert not simulation.is_up("n1")
    simulation.start("n1")
    world.run_ms(0.5)
    simulation.kill("n1", power_loss=False)
    simulation.start("n1")
    world.run_ms(0.6)
    assert not simulation.is_up("n1")  # the start that was cut short would be through by now
    world.run_ms(0.5)
    assert (simulation.is_up("n1"), world.actor("n1").incarnation) == (True, 4)


def test_a_dead_node_neither_wakes_nor_sends_and_what_reaches_it_is_counted(world: World) -> None:
    world.do("n1", lambda node: setattr(node, "wake_at_ns", world.simulation.now_ns + 10 * MS))
    dead = world.actor("n1")
    world.do("n2", lambda node: node.send("n1", 1))
    world.simulation.kill("n1", power_loss=False)
    heard = len(dead.inputs)
    world.restart("n1")
    assert len(dead.inputs) == heard
    assert kinds(world.actor("n1")) == ["start"]
    assert world.simulation.network.counts().undeliverable == 1


def test_trace_events_come_numbered_and_before_the_sends_so_a_kill_in_answer_stops_them(world: World) -> None:
    """Design: simulation, 3: faults triggered by events find what clocks do not; crash between persist and send."""

    def act(node: Actor) -> None:
        node.trace("voted")
        node.trace("again")
        node.send("n2", 1)

    world.do("n1", act)
    world.run_ms(5)
    assert [entry[:3] + entry[4:] for entry in world.traces] == [("n1", 1, 1, "voted"), ("n1", 1, 2, "again")]

    def kill_the_voter(node: str, event: Any) -> None:
        if event == "voted":
            world.kill(node)

    world.on_event = kill_the_voter
    world.do("n1", act)
    world.run_ms(5)
    assert [payload for payload in world.actor("n2").payloads if payload == 1] == [1]
    world.on_event = None
    world.restart("n1")
    world.do("n1", act)
    assert [entry[:3] for entry in world.traces[4:]] == [("n1", 2, 1), ("n1", 2, 2)]


# ── pauses ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_paused_node_holds_requests_and_timers_and_works_on_them_late(world: World) -> None:
    began = world.simulation.now_ns
    world.do("n1", lambda node: setattr(node, "wake_at_ns", began + 20 * MS))
    world.simulation.pause("n1")
    world.do("n2", lambda node: node.send("n1", "stale"))
    heard = len(world.actor("n1").inputs)
    world.run_ms(100)
    assert (world.simulation.is_up("n1"), world.simulation.is_paused("n1")) == (True, True)
    assert len(world.actor("n1").inputs) == heard
    resumed = world.simulation.now_ns
    report = world.simulation.resume("n1")
    assert (report.inputs_held, report.timers_shifted) == (2, 1)
    assert report.paused_ns > 100 * MS
    world.run_ms(1)
    assert world.actor("n1").inputs[heard:] == [(resumed, "deliver", "n2"), (resumed, "wake", None)]
    assert len(world.actor("n1").flushes[-1]) == 2
    assert world.simulation.resume("n1") == PauseReport()


def test_a_pause_also_holds_an_input_that_came_just_before_it(make_world: MakeWorld, quiet: Profile) -> None:
    processes = msgspec.structs.replace(quiet.processes, flush_ns=MS)
    world = make_world(msgspec.structs.replace(quiet, processes=processes))
    world.tell("n1", nothing)
    world.run_ms(0.5)
    world.simulation.pause("n1")
    world.run_ms(50)
    assert kinds(world.actor("n1")) == ["start"]
    assert world.simulation.resume("n1").inputs_held == 1
    world.run_ms(5)
    assert kinds(world.actor("n1")) == ["start", "deliver"]


def test_a_pause_lets_the_running_batch_end_and_begins_no_other(world: World) -> None:
    def write_twice(node: Actor) -> None:
        for token in (0, 1):
            node.write(token, Pwrite("log", token, b"x"), Sync("log"))

    world.do("n1", write_twice)
    world.simulation.pause("n1")
    world.run_ms(50)
    assert world.simulation.disk("n1").files() == {"log": b"x"}
    assert world.simulation.resume("n1").inputs_held == 1
    world.run_ms(5)
    assert world.simulation.disk("n1").files() == {"log": b"xx"}


def test_a_paused_node_can_be_killed_and_its_successor_runs(world: World) -> None:
    world.simulation.pause("n1")
    assert world.simulation.kill("n1", power_loss=False).processes_ended == 1
    assert world.simulation.resume("n1") == PauseReport()
    world.restart("n1")
    assert not world.simulation.is_paused("n1")


# ── ends of their own making ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_exception_in_a_node_is_its_exit_and_not_the_end_of_the_simulation(world: World) -> None:
    def break_down(node: Actor) -> None:
        assert node.name == "other", "terms run backwards"

    world.do("n1", break_down)
    world.do("n2", lambda node: node.send("n3", 1))
    world.run_ms(5)
    (exit_,) = world.simulation.exits
    assert (exit_.name, world.simulation.is_up("n1")) == ("n1", False)
    assert exit_.reason.startswith("AssertionError: terms run backwards")
    assert "break_down (test_process.py:" in exit_.reason
    assert "/" not in exit_.reason
    assert 1 in world.actor("n3").payloads
    world.restart("n1")
    assert world.simulation.is_up("n1")


def test_a_node_that_gives_up_exits_for_its_reason_after_its_trace_and_without_its_sends(world: World) -> None:
    def give_up(node: Actor) -> None:
        node.fail("fsync failed")
        node.trace("last words")
        node.send("n2", 1)

    world.do("n1", give_up)
    world.run_ms(5)
    assert [(name, reason) for name, _, reason, _ in world.simulation.exits] == [("n1", "fsync failed")]
    assert world.traces[-1][-1] == "last words"
    assert 1 not in world.actor("n2").payloads


def test_a_node_that_cannot_recover_exits(world: World) -> None:
    def recover(node: Actor, execute: FileExecutor) -> None:
        execute(Read("no such file"))

    world.at_start = recover
    world.simulation.kill("n1", power_loss=False)
    world.restart("n1")
    assert not world.simulation.is_up("n1")
    assert world.simulation.exits[0].reason.startswith("FileNotFoundError")


def test_a_node_that_sends_to_nobody_exits(world: World) -> None:
    world.do("n1", lambda node: node.send("n9", 1))
    assert not world.simulation.is_up("n1")
    assert "no node 'n9'" in world.simulation.exits[0].reason


def test_two_nodes_that_answer_each_other_for_ever_spend_the_budget(make_world: MakeWorld, quiet: Profile) -> None:
    links = msgspec.structs.replace(quiet.links, latency_min_ns=0, latency_max_ns=0)
    world = make_world(msgspec.structs.replace(quiet, links=links), event_budget=5_000)

    def echo(node: Actor) -> None:
        node.send("n2" if node.name == "n1" else "n1", echo)

    world.tell("n1", echo)
    with pytest.raises(EventBudgetSpent, match="livelock") as raised:
        world.run_ms(10)
    assert {"flush n1", "deliver n1>n2 unit"} <= raised.value.recent.keys()


def test_names_are_checked(world: World) -> None:
    with pytest.raises(AlreadyExists, match="n1"):
        world.simulation.add_node("n1", lambda name, incarnation: world.actor("n1"))
    with pytest.raises(UnknownAddress, match="there are n1, n2, n3"):
        world.simulation.start("n4")


def test_the_restart_latency_is_drawn_from_the_profile(make_world: MakeWorld, quiet: Profile) -> None:
    processes = ProcessProfile(flush_ns=0, input_ns=0, restart_min_ns=MS, restart_max_ns=50 * MS)
    world = make_world(msgspec.structs.replace(quiet, processes=processes))
    started = [world.actor(name).inputs[0][0] for name in ("n1", "n2", "n3")]
    assert len(set(started)) == 3
    assert all(MS <= time <= 50 * MS for time in started)
