"""The network between nodes: which links there are and which rules are in force on them.

Rules go by name and by directed pairs, and overlap freely: a pair is open when no rule blocks it, and disturbances add
up. Each rule counts what it did, which is the evidence that a fault took effect. Connections of clients do not pass
through here (`clients.py`): a partition separates nodes, not the observer from what is observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import TypeVar

from histrio.simulation.agenda import Agenda
from histrio.simulation.errors import AlreadyExists, UnknownAddress
from histrio.simulation.gates import Gate, GateRule
from histrio.simulation.links import (
    Block,
    Destination,
    Disturbance,
    DisturbanceCounts,
    DisturbanceRule,
    Link,
    LinkCounts,
)
from histrio.simulation.node import Address
from histrio.simulation.profile import LinkProfile

__all__ = ["Disturbance", "DisturbanceCounts", "LinkCounts", "Network"]

T = TypeVar("T")
Pairs = Iterable[tuple[Address, Address]]


class Network:
    """Links between nodes, made as they are needed."""

    def __init__(self, seed: int, agenda: Agenda, profile: LinkProfile, find: Callable[[Address], Destination]) -> None:
        self._seed, self._agenda, self._profile, self._find = seed, agenda, profile, find
        self._links: dict[tuple[Address, Address], Link] = {}
        self._blocks: dict[str, tuple[Block, tuple[Link, ...]]] = {}
        self._disturbances: dict[str, tuple[DisturbanceRule, tuple[Link, ...]]] = {}
        self._gates: dict[str, tuple[GateRule, tuple[tuple[Link, Gate], ...]]] = {}
        self._dropped: dict[str, int] = {}
        self._disturbed: dict[str, DisturbanceCounts] = {}

    def link(self, source: Address, target: Address) -> Link:
        """The link of a directed pair. Raises UnknownAddress when `target` is no node."""
        link = self._links.get((source, target))
        if link is None:
            rng = Random(f"{self._seed}/network/{source}>{target}")
            link = Link(source, target, self._find(target), self._agenda, self._profile, rng)
            self._links[source, target] = link
        return link

    def block(self, rule: str, pairs: Pairs) -> None:
        """Let nothing through from the first to the second node of each pair, units on their way included.

        Raises AlreadyExists when a rule of that name is in force.
        """
        _check_new(rule, self._blocks)
        block, links = Block(rule), self._links_of(pairs)
        self._blocks[rule] = (block, links)
        for link in links:
            link.blocks.append(block)
        self._agenda.note(f"rule {rule}")

    def unblock(self, rule: str) -> int:
        """Lift a block. Returns how many units it stopped. Raises UnknownAddress when it is not in force."""
        block, links = _known(rule, self._blocks)
        del self._blocks[rule]
        for link in links:
            link.blocks.remove(block)
            link.unblocked()
        self._dropped[rule] = block.dropped
        self._agenda.note(f"lift {rule}")
        return block.dropped

    def dropped(self, rule: str) -> int:
        """Units that the block has stopped so far, or had stopped when it was last lifted."""
        if rule in self._blocks:
            return self._blocks[rule][0].dropped
        return _known(rule, self._dropped)

    def disturb(self, rule: str, pairs: Pairs, disturbance: Disturbance) -> None:
        """Add `disturbance` to each pair until `calm`. Raises AlreadyExists."""
        _check_new(rule, self._disturbances)
        entry, links = DisturbanceRule(rule, disturbance, DisturbanceCounts()), self._links_of(pairs)
        self._disturbances[rule] = (entry, links)
        for link in links:
            link.disturbances.append((entry, Random(f"{self._seed}/rule/{rule}/{link.route}")))
        self._agenda.note(f"rule {rule}")

    def calm(self, rule: str) -> DisturbanceCounts:
        """End a disturbance. Returns what it did. Raises UnknownAddress."""
        entry, links = _known(rule, self._disturbances)
        del self._disturbances[rule]
        for link in links:
            link.disturbances = [(other, rng) for other, rng in link.disturbances if other is not entry]
        self._disturbed[rule] = entry.counts
        self._agenda.note(f"lift {rule}")
        return entry.counts

    def disturbed(self, rule: str) -> DisturbanceCounts:
        """What the disturbance has done so far, or had done when it ended."""
        if rule in self._disturbances:
            return self._disturbances[rule][0].counts
        return _known(rule, self._disturbed)

    def gate(self, rule: str, pairs: Pairs, gate_rule: GateRule) -> None:
        """Put `gate_rule` in force on each pair until `ungate`. Raises AlreadyExists."""
        _check_new(rule, self._gates)
        entries = [(link, gate_rule.gate()) for link in self._links_of(pairs)]
        self._gates[rule] = (gate_rule, tuple(entries))
        self._agenda.note(f"rule {rule}")
        for link, gate in entries:
            link.gates.append(gate)

    def ungate(self, rule: str) -> int:
        """Lift a gate rule. Returns its count. Raises UnknownAddress."""
        gate_rule, entries = _known(rule, self._gates)
        del self._gates[rule]
        for link, gate in entries:
            link.gates = [other for other in link.gates if other is not gate]
        self._agenda.note(f"lift {rule}")
        return gate_rule.count

    def reset(self, pairs: Pairs) -> int:
        """Reset the connections of the pairs at once. Returns of how many something was under way, which is lost."""
        return sum([link.reset() for link in self._links_of(pairs)])

    def is_open(self, source: Address, target: Address) -> bool:
        """Whether no rule blocks this direction."""
        link = self._links.get((source, target))
        return link is None or not link.blocks

    def counts(self) -> LinkCounts:
        """What became of all units so far, over all links."""
        total = LinkCounts()
        for link in self._links.values():
            for field in LinkCounts.__struct_fields__:
                setattr(total, field, getattr(total, field) + getattr(link.counts, field))
        return total

    def _links_of(self, pairs: Pairs) -> tuple[Link, ...]:
        return tuple(self.link(source, target) for source, target in dict.fromkeys(pairs))


def _check_new(rule: str, rules: Mapping[str, object]) -> None:
    if rule in rules:
        raise AlreadyExists(f"rule {rule!r} is in force; lift it first, or name rules after the fault's id")


def _known(rule: str, rules: Mapping[str, T]) -> T:
    if rule not in rules:
        raise UnknownAddress(f"no rule {rule!r} is in force, nor was")
    return rules[rule]
