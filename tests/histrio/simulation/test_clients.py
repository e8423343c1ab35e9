"""Connections of clients: in order, not cut by partitions, and honest about what certainly never arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from histrio.simulation.errors import AlreadyExists, UnknownAddress
from histrio.simulation.profile import DEFAULT_PROFILE, ClientProfile, Profile

if TYPE_CHECKING:
    from tests.histrio.simulation.conftest import Actor, World

MakeWorld = type["World"]


class Client:
    """What one client heard."""

    def __init__(self, world: World, node: str, name: str = "c1") -> None:
        self.world, self.node, self.name = world, node, name
        self.heard: list[Any] = []
        self.connect()

    def connect(self) -> None:
        self.world.simulation.connect(self.name, self.node, self.heard.append, self._disconnected)

    def ask(self, payload: Any) -> None:
        self.world.simulation.request(self.name, payload)

    def _disconnected(self, delivered: bool) -> None:
        self.heard.append(f"disconnected, delivered={delivered}")


def echo(number: int) -> Any:
    return lambda node: node.reply("c1", number)


@pytest.fixture
def slow(make_world: MakeWorld) -> World:
    """The default world, with its latencies and its faulty links."""
    return make_world(DEFAULT_PROFILE)


def test_requests_and_replies_keep_their_order_and_none_is_lost(slow: World) -> None:
    client = Client(slow, "n1")
    for number in range(500):
        client.ask(echo(number))
        slow.run_ms(0.05)
    slow.run_ms(20)
    assert client.heard == list(range(500))


def test_a_partition_between_nodes_does_not_cut_clients_off(slow: World) -> None:
    names = ("n1", "n2", "n3")
    slow.simulation.network.block("all", [(a, b) for a in names for b in names])
    client = Client(slow, "n1")
    client.ask(echo(1))
    slow.run_ms(5)
    assert client.heard == [1]


def test_a_request_to_a_node_that_is_down_certainly_never_arrived(slow: World) -> None:
    slow.simulation.kill("n1", power_loss=False)
    client = Client(slow, "n1")
    client.ask(echo(1))
    client.ask(echo(2))
    assert client.heard == []
    slow.run_ms(5)
    assert client.heard == ["disconnected, delivered=False"]
    assert not slow.simulation.is_connected("c1")


def test_a_request_that_arrived_before_the_kill_may_have_been_carried_out(slow: World) -> None:
    client = Client(slow, "n1")
    client.ask(lambda node: None)
    slow.run_ms(5)
    assert slow.simulation.kill("n1", power_loss=False).connections_broken == 1
    assert client.heard == []
    slow.run_ms(5)
    assert client.heard == ["disconnected, delivered=True"]


@pytest.mark.parametrize("profile", [DEFAULT_PROFILE, Profile(clients=ClientProfile(latency_min_ns=500_000))])
def test_a_request_on_its_way_at_the_kill_never_arrived_when_all_before_it_was_answered(
    make_world: MakeWorld, profile: Profile
) -> None:
    """With equal latencies the request reaches the dead node before the client hears of its death."""
    world = make_world(profile)
    client = Client(world, "n1")
    client.ask(echo(1))
    world.run_ms(5)
    client.ask(echo(2))
    world.kill("n1")
    world.run_ms(5)
    assert client.heard == [1, "disconnected, delivered=False"]


def test_a_repeated_request_of_which_one_copy_arrived_may_have_been_carried_out(slow: World) -> None:
    client = Client(slow, "n1")
    client.ask(lambda node: None)
    slow.run_ms(5)
    client.ask(lambda node: None)
    slow.simulation.kill("n1", power_loss=False)
    slow.run_ms(5)
    assert client.heard == ["disconnected, delivered=True"]


def test_replies_on_their_way_at_the_kill_arrive_before_the_news(slow: World) -> None:
    client = Client(slow, "n1")
    simulation = slow.simulation

    def cut_power_after_the_flush(node: str, event: Any) -> None:
        simulation.call_at(simulation.now_ns, lambda: slow.kill(node, power_loss=True))

    slow.on_event = cut_power_after_the_flush

    def answer_and_trace(node: Actor) -> None:
        node.reply("c1", "answer")
        node.trace("answered")

    client.ask(answer_and_trace)
    slow.run_ms(10)
    assert client.heard == ["answer", "disconnected, delivered=True"]


def test_a_connection_leads_to_one_incarnation_and_a_new_one_to_the_next(slow: World) -> None:
    client = Client(slow, "n1")
    client.ask(echo(1))
    slow.run_ms(5)
    slow.simulation.kill("n1", power_loss=False)
    slow.restart("n1")
    assert client.heard == [1, "disconnected, delivered=True"]
    with pytest.raises(UnknownAddress, match="c1"):
        client.ask(echo(2))
    client.connect()
    client.ask(echo(3))
    slow.run_ms(5)
    assert client.heard[-1] == 3


def test_a_connection_opened_while_the_node_was_down_works_once_it_is_up(slow: World) -> None:
    slow.simulation.kill("n1", power_loss=False)
    client = Client(slow, "n1")
    slow.restart("n1")
    client.ask(echo(1))
    slow.run_ms(5)
    assert client.heard == [1]


def test_a_client_that_leaves_hears_nothing_more_and_the_node_hears_of_it_after_its_requests(slow: World) -> None:
    client = Client(slow, "n1")
    client.ask(echo(1))
    slow.simulation.disconnect("c1")
    slow.run_ms(5)
    assert client.heard == []
    assert [what for _, what, who in slow.actor("n1").inputs if who == "c1"] == ["deliver", "disconnected"]
    slow.simulation.kill("n1", power_loss=False)
    slow.run_ms(5)
    assert client.heard == []


def test_a_client_that_comes_back_at_once_keeps_its_new_connection(slow: World) -> None:
    client = Client(slow, "n1")
    client.ask(echo(1))
    slow.run_ms(5)
    slow.simulation.disconnect("c1")
    client.connect()
    client.ask(echo(2))
    slow.run_ms(5)
    client.ask(echo(3))
    slow.run_ms(5)
    assert client.heard == [1, 2, 3]


def test_each_connection_of_a_client_has_luck_of_its_own(slow: World) -> None:
    client, latencies = Client(slow, "n1"), set()
    for _ in range(4):
        began = slow.simulation.now_ns
        client.ask(echo(1))
        slow.run_ms(5)
        latencies.add(slow.actor("n1").inputs[-1][0] - began)
        slow.simulation.disconnect("c1")
        slow.run_ms(5)
        client.connect()
    assert len(latencies) == 4


def test_a_client_has_one_connection(slow: World) -> None:
    client = Client(slow, "n1")
    with pytest.raises(AlreadyExists, match="disconnect it first"):
        client.connect()
    with pytest.raises(UnknownAddress, match="n7"):
        Client(slow, "n7", "c2")


def test_a_timer_calls_once_unless_cancelled_and_the_past_is_now(slow: World) -> None:
    calls: list[str] = []
    now = slow.simulation.now_ns
    slow.simulation.call_at(now + 10, lambda: calls.append("later"))
    cancelled = slow.simulation.call_at(now + 5, lambda: calls.append("cancelled"))
    slow.simulation.call_at(now - 50, lambda: calls.append("past"))
    cancelled.cancel()
    slow.run_ms(1)
    cancelled.cancel()
    assert calls == ["past", "later"]
