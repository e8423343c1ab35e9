"""Rules that units pass before they leave: bandwidth, filters, resets; and what corruption does on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histrio.simulation.errors import AlreadyExists, UnknownAddress
from histrio.simulation.gates import Filter, Reset, Throttle
from histrio.simulation.network import Disturbance
from histrio.simulation.node import Send
from tests.histrio.simulation.test_network import MakeWorld, numbers, stream, with_links

if TYPE_CHECKING:
    from histrio.simulation.profile import Profile
    from tests.histrio.simulation.conftest import Actor, World

MS = 1_000_000


def test_a_throttled_link_spaces_units_out_and_drops_what_would_wait_too_long(world: World) -> None:
    """10 units of 60 and 40 bytes of headers at 10 kB/s leave 10 ms apart; the queue takes 50 ms of them."""
    rule = Throttle(10_000, queue_ns=50 * MS)
    world.simulation.network.gate("f1", [("n1", "n2")], rule)
    began = world.simulation.now_ns
    world.tell("n1", lambda node: node.send_all("n2", range(10), size=60))
    world.run_ms(300)
    times = [(time - began) / MS for time, what, source in world.actor("n2").inputs if source == "n1"]
    assert [round(time) for time in times] == [11, 21, 31, 41, 51, 61]
    assert (numbers(world.actor("n2")), world.simulation.network.ungate("f1")) == (list(range(6)), 10)
    stream(world, "n1", "n2", 1, first=99)
    assert numbers(world.actor("n2"))[-1] == 99


def test_a_filter_drops_units_that_contain_the_kind_and_no_others(world: World) -> None:
    rule = Filter("vote")
    world.simulation.network.gate("f1", [("n1", "n2")], rule)

    def send(node: Actor) -> None:
        for number, kind in enumerate(("vote", "append+vote", "append", "voted")):
            node._sends.append(Send("n2", number, kind))

    world.do("n1", send)
    world.run_ms(5)
    assert numbers(world.actor("n2")) == [2, 3]
    assert world.simulation.network.ungate("f1") == 2


@pytest.mark.parametrize("kind", ["datagram", "stream"])
def test_a_reset_loses_what_is_under_way_and_what_is_sent_meanwhile(
    kind: str, make_world: MakeWorld, quiet: Profile
) -> None:
    world = make_world(with_links(quiet, kind=kind))
    network = world.simulation.network
    world.do("n1", lambda node: node.send("n2", 1))
    assert network.reset([("n1", "n2"), ("n2", "n1")]) == 1
    network.gate("f1", [("n1", "n2")], Reset())
    stream(world, "n1", "n2", 2, first=2)
    assert network.ungate("f1") == 2
    stream(world, "n1", "n2", 2, first=4)
    assert numbers(world.actor("n2")) == [4, 5]


def test_a_reset_loses_what_a_block_has_stalled_on_a_stream(make_world: MakeWorld, quiet: Profile) -> None:
    world = make_world(with_links(quiet, kind="stream"))
    network = world.simulation.network
    network.block("cut", [("n1", "n2")])
    stream(world, "n1", "n2", 3)
    assert network.reset([("n1", "n2")]) == 1
    network.unblock("cut")
    stream(world, "n1", "n2", 1, first=9)
    world.run_ms(500)
    assert numbers(world.actor("n2")) == [9]


def test_corrupted_units_do_not_pass_the_checksum(make_world: MakeWorld, quiet: Profile) -> None:
    world = make_world(quiet)
    world.simulation.network.disturb("f1", [("n1", "n2")], Disturbance(corruption=0.3))
    stream(world, "n1", "n2", 1_000)
    counts = world.simulation.network.calm("f1")
    assert 240 <= counts.corrupted <= 360
    assert counts.lost == 0
    assert len(numbers(world.actor("n2"))) == 1_000 - counts.corrupted


def test_a_unit_that_is_corrupted_silently_is_refused_and_on_a_stream_the_connection_goes_with_it(
    make_world: MakeWorld, quiet: Profile
) -> None:
    """The frame does not fit its own checksum: never another value, and whatever is on its way behind it is lost."""
    disturbance = Disturbance(corruption=0.1, silent=True)
    lost: dict[str, int] = {}
    for kind in ("datagram", "stream"):
        world = make_world(with_links(quiet, kind=kind))
        world.simulation.network.disturb("f1", [("n1", "n2")], disturbance)
        stream(world, "n1", "n2", 300)
        world.run_ms(3_000)
        counts = world.simulation.network.calm("f1")
        received = numbers(world.actor("n2"))
        assert received == sorted(set(received))
        assert set(received) <= set(range(300))
        assert counts.corrupted > 15
        lost[kind] = 300 - len(received)
        assert (counts.broken > 0) == (kind == "stream")
        assert lost[kind] >= counts.broken
        assert kind == "stream" or lost[kind] == counts.corrupted
    assert lost["stream"] > 0


def test_on_a_stream_corruption_and_reordering_cost_time_and_a_second_copy_is_nothing(
    make_world: MakeWorld, quiet: Profile
) -> None:
    world = make_world(with_links(quiet, kind="stream", retransmission_ns=3 * MS))
    disturbance = Disturbance(corruption=0.2, reordering=0.2, duplication=0.2)
    world.simulation.network.disturb("f1", [("n1", "n2")], disturbance)
    stream(world, "n1", "n2", 300)
    world.run_ms(3_000)
    counts = world.simulation.network.calm("f1")
    assert numbers(world.actor("n2")) == list(range(300))
    assert counts.corrupted > 30
    assert counts.reordered > 30
    assert counts.duplicated == 0, "no effect is no evidence"


def test_names_of_gates_are_unique_and_known(world: World) -> None:
    network = world.simulation.network
    network.gate("f1", [("n1", "n2")], Reset())
    with pytest.raises(AlreadyExists):
        network.gate("f1", [("n1", "n3")], Reset())
    with pytest.raises(UnknownAddress):
        network.ungate("f2")
