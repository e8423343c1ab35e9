"""All kinds of faults: a kind exists if one of the literals that this one is made of has it."""

from __future__ import annotations

from nemesis.clock_kinds import CLOCK
from nemesis.disk_kinds import DISK
from nemesis.errors import UnknownNemesis
from nemesis.kinds import Family, Kind
from nemesis.network_kinds import NET, PARTITION
from nemesis.order_kinds import MEMBERSHIP, SNAPSHOT, TRANSFER
from nemesis.process_kinds import KILL, PAUSE, POWER_LOSS
from nemesis.resource_kinds import RESOURCES

__all__ = ["FAMILIES", "KINDS", "kind_named"]

_ALL = (PARTITION, KILL, PAUSE, POWER_LOSS, NET, CLOCK, DISK, RESOURCES, MEMBERSHIP, TRANSFER, SNAPSHOT)

FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
"""All families by name."""

KINDS: dict[str, Kind] = {kind.name: kind for family in FAMILIES.values() for kind in family.kinds}
"""All kinds by name."""


def kind_named(name: str) -> Kind:
    """The kind called `name`. Raises UnknownNemesis with a suggestion."""
    try:
        return KINDS[name]
    except KeyError:
        raise UnknownNemesis(name, tuple(KINDS)) from None
