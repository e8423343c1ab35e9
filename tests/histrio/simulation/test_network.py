"""Links: latency, loss, duplication, order, blocks and disturbances, each with a count that can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from histrio.simulation.errors import AlreadyExists, BadProfile, UnknownAddress
from histrio.simulation.network import Disturbance
from histrio.simulation.profile import LinkProfile, Profile

if TYPE_CHECKING:
    from tests.histrio.simulation.conftest import Actor, World

MS = 1_000_000
MakeWorld = type["World"]


def with_links(profile: Profile, **changes: Any) -> Profile:
    return msgspec.structs.replace(profile, links=msgspec.structs.replace(profile.links, **changes))


def stream(world: World, source: str, target: str, count: int, *, first: int = 0, every_ns: int = 10_000) -> None:
    """Have `source` send the numbers from `first` on to `target`, one at a time, and let them arrive."""
    for number in range(first, first + count):
        world.tell(source, lambda node, number=number: node.send(target, number))  # type: ignore[misc]
        world.run_ms(every_ns / MS)
    world.run_ms(20)


def numbers(actor: Actor) -> list[int]:
    return [payload for payload in actor.payloads if isinstance(payload, int)]


def arrivals(actor: Actor, source: str) -> list[tuple[int, str, Any]]:
    return [entry for entry in actor.inputs if entry[2] == source]


# ── luck ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_datagram_link_loses_duplicates_and_holds_back_at_the_rates_it_was_given(
    make_world: MakeWorld, quiet: Profile
) -> None:
    """4,000 units; bounds of about four standard deviations. The counts equal what the receiver saw."""
    world = make_world(with_links(quiet, latency_max_ns=2 * MS, loss=0.1, duplication=0.05, reordering=0.1))
    stream(world, "n1", "n2", 4_000)
    got, counts = numbers(world.actor("n2")), world.simulation.network.counts()
    assert counts.sent == 4_000
    assert 325 <= counts.lost <= 475
    assert 145 <= counts.duplicated <= 255
    assert len(set(got)) == 4_000 - counts.lost
    assert len(got) - len(set(got)) == counts.duplicated
    assert counts.delivered == len(got)
    firsts = list(dict.fromkeys(got))
    overtaken = sum(any(later > number for later in firsts[:place]) for place, number in enumerate(firsts))
    assert overtaken > 250
    assert counts.overtaken == pytest.approx(overtaken, abs=20)  # a copy of a unit does not overtake


def test_without_reordering_a_datagram_link_keeps_its_order_whatever_the_latencies(
    make_world: MakeWorld, quiet: Profile
) -> None:
    world = make_world(with_links(quiet, latency_min_ns=0, latency_max_ns=5 * MS))
    stream(world, "n1", "n2", 300)
    assert numbers(world.actor("n2")) == list(range(300))
    assert world.simulation.network.counts().overtaken == 0


def test_a_stream_link_is_first_in_first_out_and_loses_time_instead_of_units(
    make_world: MakeWorld, quiet: Profile
) -> None:
    world = make_world(with_links(quiet, kind="stream", latency_max_ns=5 * MS, loss=0.05, retransmission_ns=3 * MS))
    stream(world, "n1", "n2", 500)
    world.run_ms(200)
    assert numbers(world.actor("n2")) == list(range(500))
    assert world.simulation.network.counts().lost > 10  # each one stalled what followed


def test_quantised_latencies_make_ties(make_world: MakeWorld, quiet: Profile) -> None:
    """Design: simulation, 1.2: continuous latencies hide bugs of order because nothing ever ties."""
    world = make_world(with_links(quiet, latency_min_ns=1, latency_max_ns=MS, quantum_ns=MS // 2))
    for source in ("n1", "n3"):
        world.tell(source, lambda node: node.send_all("n2", range(50)))
    world.run_ms(10)
    times = [time for time, what, source in world.actor("n2").inputs if what == "deliver" and source in ("n1", "n3")]
    assert len(times) == 100
    assert all(time % (MS // 2) == 0 for time in times)


def test_bandwidth_delays_units_that_tell_their_size(make_world: MakeWorld, quiet: Profile) -> None:
    """10 units of 1,000 bytes at 1 MB/s leave one millisecond apart."""
    world = make_world(with_links(quiet, bytes_per_second=1_000_000))
    began = world.simulation.now_ns
    world.tell("n1", lambda node: node.send_all("n2", range(10), size=1_000))
    world.run_ms(20)
    assert [time - began for time, _, _ in arrivals(world.actor("n2"), "n1")] == [MS * (2 + i) for i in range(10)]


# ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_block_is_one_way_and_counts_what_it_stopped(world: World) -> None:
    network = world.simulation.network
    network.block("cut", [("n1", "n2")])
    stream(world, "n1", "n2", 5)
    stream(world, "n2", "n1", 3)
    stream(world, "n1", "n3", 2)
    assert [len(numbers(world.actor(name))) for name in ("n1", "n2", "n3")] == [3, 0, 2]
    assert (network.dropped("cut"), network.is_open("n1", "n2"), network.is_open("n2", "n1")) == (5, False, True)
    assert network.unblock("cut") == 5
    stream(world, "n1", "n2", 4)
    assert len(numbers(world.actor("n2"))) == 4
    assert network.dropped("cut") == 5


def test_a_pair_is_open_when_no_rule_blocks_it_and_a_unit_counts_for_each_rule_that_does(world: World) -> None:
    network = world.simulation.network
    network.block("first", [("n1", "n2"), ("n1", "n2"), ("n1", "n3")])
    network.block("second", [("n1", "n2")])
    stream(world, "n1", "n2", 3)
    assert (network.unblock("first"), network.is_open("n1", "n2")) == (3, False)
    stream(world, "n1", "n2", 2)
    assert (network.unblock("second"), network.is_open("n1", "n2")) == (5, True)
    stream(world, "n1", "n2", 1)
    assert len(numbers(world.actor("n2"))) == 1


def test_a_block_stops_units_that_are_on_their_way(world: World) -> None:
    world.do("n1", lambda node: node.send("n2", 1))
    world.simulation.network.block("cut", [("n1", "n2")])
    world.run_ms(5)
    assert world.simulation.network.unblock("cut") == 1
    assert numbers(world.actor("n2")) == []


def test_a_blocked_stream_stalls_and_goes_on_in_order_with_nothing_lost(make_world: MakeWorld, quiet: Profile) -> None:
    world = make_world(with_links(quiet, kind="stream", retransmission_ns=5 * MS))
    network = world.simulation.network
    stream(world, "n1", "n2", 3)
    network.block("cut", [("n1", "n2")])
    stream(world, "n1", "n2", 20, first=3)
    assert numbers(world.actor("n2")) == [0, 1, 2]
    assert network.unblock("cut") == 20
    stream(world, "n1", "n2", 5, first=23)
    assert numbers(world.actor("n2")) == list(range(28))


def test_a_stream_blocked_again_before_it_goes_on_stays_stalled(make_world: MakeWorld, quiet: Profile) -> None:
    world = make_world(with_links(quiet, kind="stream", retransmission_ns=5 * MS))
    network = world.simulation.network
    network.block("first", [("n1", "n2")])
    stream(world, "n1", "n2", 3)
    network.unblock("first")
    world.run_ms(1)
    network.block("second", [("n1", "n2")])
    world.run_ms(50)
    assert numbers(world.actor("n2")) == []
    network.unblock("second")
    world.run_ms(50)
    assert numbers(world.actor("n2")) == [0, 1, 2]


def test_a_stream_stalled_beyond_its_window_breaks_and_starts_anew(make_world: MakeWorld, quiet: Profile) -> None:
    world = make_world(with_links(quiet, kind="stream", stream_window=8))
    world.simulation.network.block("cut", [("n1", "n2")])
    stream(world, "n1", "n2", 10)
    world.simulation.network.unblock("cut")
    world.run_ms(500)
    assert numbers(world.actor("n2")) == [9]
    assert world.simulation.network.counts().lost == 9


def test_a_stream_ends_with_the_incarnation_it_leads_to_and_a_datagram_does_not(
    make_world: MakeWorld, quiet: Profile
) -> None:
    """The receiver is restarted while a unit is on its way."""
    received = []
    for kind in ("stream", "datagram"):
        world = make_world(with_links(quiet, kind=kind, latency_min_ns=50 * MS, latency_max_ns=50 * MS))
        world.do("n1", lambda node: node.send("n2", 1))
        world.simulation.kill("n2", power_loss=False)
        received.append((numbers(world.restart("n2")), world.simulation.network.counts().undeliverable))
    assert received == [([], 1), ([1], 0)]


# ── disturbances ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_disturbance_adds_to_a_link_until_it_is_calmed_and_counts_what_it_did(world: World) -> None:
    network = world.simulation.network
    rule = Disturbance(loss=0.3, duplication=0.2, reordering=0.2, delay_min_ns=2 * MS, delay_max_ns=4 * MS)
    network.disturb("noise", [("n1", "n2")], rule)
    stream(world, "n1", "n2", 500)
    stream(world, "n3", "n2", 50, first=1_000)
    counts = network.calm("noise")
    assert counts == network.disturbed("noise")
    assert counts.delayed == 500
    assert 110 <= counts.lost <= 190
    assert 65 <= counts.duplicated <= 135
    assert 65 <= counts.reordered <= 135
    got = [number for number in numbers(world.actor("n2")) if number < 1_000]
    assert len(got) == 500 - counts.lost + counts.duplicated
    began, heard = world.simulation.now_ns, len(world.actor("n2").inputs)
    stream(world, "n1", "n2", 1)
    assert world.actor("n2").inputs[heard][0] - began == MS  # calm again


def test_disturbances_add_up(world: World) -> None:
    for rule in ("slow", "slower"):
        world.simulation.network.disturb(rule, [("n1", "n2")], Disturbance(delay_min_ns=MS, delay_max_ns=MS))
    began = world.simulation.now_ns
    stream(world, "n1", "n2", 1)
    assert arrivals(world.actor("n2"), "n1")[0][0] - began == 3 * MS


def test_a_disturbance_has_luck_of_its_own_on_each_link(world: World) -> None:
    pairs = [("n1", "n2"), ("n1", "n3")]
    world.simulation.network.disturb("noise", pairs, Disturbance(loss=0.5))
    for target in ("n2", "n3"):
        stream(world, "n1", target, 50)
    assert numbers(world.actor("n2")) != numbers(world.actor("n3"))


def test_on_a_stream_a_disturbance_costs_time_only(make_world: MakeWorld, quiet: Profile) -> None:
    world = make_world(with_links(quiet, kind="stream", retransmission_ns=MS))
    rule = Disturbance(loss=0.4, duplication=0.3, reordering=0.3)
    world.simulation.network.disturb("noise", [("n1", "n2")], rule)
    stream(world, "n1", "n2", 200)
    world.run_ms(300)
    assert numbers(world.actor("n2")) == list(range(200))
    assert world.simulation.network.calm("noise").lost == world.simulation.network.counts().lost > 40


# ── independence ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["none", "block", "disturb"])
def test_a_rule_on_one_link_changes_no_draw_of_another_nor_of_its_own_afterwards(
    make_world: MakeWorld, quiet: Profile, fault: str
) -> None:
    """Architecture, 2: removing one fault does not reshuffle the rest."""

    def run(fault: str) -> tuple[list[Any], list[Any]]:
        world = make_world(with_links(quiet, latency_max_ns=2 * MS, loss=0.1, duplication=0.1, reordering=0.1))
        network = world.simulation.network
        if fault == "block":
            network.block("rule", [("n1", "n2")])
        elif fault == "disturb":
            network.disturb("rule", [("n1", "n2")], Disturbance(loss=0.5, duplication=0.2, delay_max_ns=MS))
        for target in ("n2", "n3"):
            stream(world, "n1", target, 100)
        if fault == "block":
            network.unblock("rule")
        elif fault == "disturb":
            network.calm("rule")
        healed = len(world.actor("n2").inputs)
        stream(world, "n1", "n2", 100)
        return world.actor("n2").inputs[healed:], world.actor("n3").inputs

    assert run(fault) == run("none")


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rules_and_nodes_that_do_not_exist_are_named(world: World) -> None:
    network = world.simulation.network
    network.block("cut", [("n1", "n2")])
    with pytest.raises(AlreadyExists, match="cut"):
        network.block("cut", [("n2", "n3")])
    with pytest.raises(UnknownAddress, match="n9"):
        network.block("other", [("n1", "n9")])
    for call in (network.unblock, network.dropped, network.calm, network.disturbed):
        with pytest.raises(UnknownAddress, match="never"):
            call("never")


def test_profiles_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(BadProfile, match="latency"):
        LinkProfile(latency_min_ns=2, latency_max_ns=1)
    with pytest.raises(BadProfile, match="more than 1"):
        LinkProfile(loss=0.5, duplication=0.6)
    with pytest.raises(BadProfile, match="delay"):
        Disturbance(delay_min_ns=2)
    assert msgspec.json.decode(msgspec.json.encode(Profile()), type=Profile) == Profile()
