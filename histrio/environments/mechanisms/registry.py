"""All mechanisms of real worlds, and why this machine lacks some. A literal: a mechanism exists if it is here."""

from __future__ import annotations

from collections.abc import Mapping

from histrio.environments.cluster import RealMechanismFactory
from histrio.environments.mechanisms import needs
from histrio.environments.mechanisms.damage import damage_nodes
from histrio.environments.mechanisms.disks import DISK_MECHANISMS
from histrio.environments.mechanisms.network import disturb_links, reset_connections, throttle_links
from histrio.environments.mechanisms.orders import clock_rate, clock_step, clock_strobe
from histrio.environments.mechanisms.power import lose_power, tear_writes
from histrio.environments.mechanisms.resources import limit_files, limit_memory, starve_processor
from histrio.environments.orders import ORDERS
from histrio.environments.real_mechanisms import REAL_MECHANISMS

__all__ = [
    "ABSENT",
    "ALL_MECHANISMS",
    "BY_KERNEL_TOO",
    "BY_SHIM_ALONE",
    "MAY_END_NODES",
    "OFFERED",
    "beyond_unloading",
    "dependants",
    "obstacles",
]

ALL_MECHANISMS: Mapping[str, RealMechanismFactory] = {
    **REAL_MECHANISMS,
    "network.disturb": disturb_links,
    "network.throttle": throttle_links,
    "network.reset": reset_connections,
    "process.power-loss": lose_power,
    "clock.step": clock_step,
    "clock.strobe": clock_strobe,
    "clock.rate": clock_rate,
    **DISK_MECHANISMS,
    "disk.tear": tear_writes,
    "disk.flip": damage_nodes,
    "disk.truncate": damage_nodes,
    "resource.cpu": starve_processor,
    "resource.memory": limit_memory,
    "resource.files": limit_files,
}
"""Those of `real_mechanisms` need nothing but processes and packets."""

ABSENT: Mapping[str, str] = {
    **dict.fromkeys(ORDERS, "real nodes have no operator yet: only the simulator carries orders to them"),
    "network.filter": "the harness does not read what nodes say to one another: only the simulator knows messages",
    "disk.misdirect": "where a write lands is the kernel's affair: only the simulator has disks that err in that",
}
"""Mechanisms that make no sense here, and why."""

OFFERED: Mapping[str, str | None] = {**dict.fromkeys(ALL_MECHANISMS), **ABSENT}
"""Mechanism -> None, or why no machine has it: what the page of faults says."""

MAY_END_NODES = frozenset(
    {"disk.full", "disk.error", "disk.read-only", "disk.flip", "disk.truncate", "resource.memory", "resource.files"}
)
"""A node that ends while one of these is in force has done nothing wrong: it may not go on without its disk."""


def _power_loss() -> str | None:
    """Either way is good."""
    return needs.own_disks() and needs.shim()


def _files() -> str | None:
    """Without the shim nobody counts what was refused."""
    return needs.shim() or needs.descriptor_limits()


_NEEDED: Mapping[str, needs.Need] = {
    "network.block": needs.nft,
    "network.disturb": needs.queue,
    "network.throttle": needs.queue,
    "network.reset": needs.queue,
    "process.power-loss": _power_loss,
    "clock.step": needs.shim,
    "clock.strobe": needs.shim,
    "clock.rate": needs.shim,
    "disk.full": needs.shim,
    "disk.error": needs.shim,
    "disk.read-only": needs.shim,
    "disk.slow": needs.shim,
    "disk.hang": needs.shim,
    "disk.tear": needs.shim,
    "resource.cpu": needs.processor_groups,
    "resource.memory": needs.memory_groups,
    "resource.files": _files,
}


BY_SHIM_ALONE: tuple[str, ...] = (
    "clock.step",
    "clock.strobe",
    "clock.rate",
    "disk.slow",
    "disk.tear",
    "resource.files",
)
"""Mechanisms that cannot hurt, or cannot be seen to hurt, programs that load nothing."""
BY_KERNEL_TOO = ("process.power-loss", "disk.full", "disk.error", "disk.read-only", "disk.hang")
"""On a file system of the node's own."""


def beyond_unloading() -> dict[str, str]:
    """Mechanism -> why it cannot hurt programs here that load nothing: static ones, and what Go compiles.

    What the kernel can do without the shim is left, where nodes get file systems of their own.
    """
    lacks = dict.fromkeys(BY_SHIM_ALONE, "the program calls the kernel itself, so that the preloaded shim is not asked")
    no_disks = needs.own_disks()
    if no_disks is not None:
        reason = (
            f"the program does not call the preloaded shim, and nodes have no file systems of their own: {no_disks}"
        )
        lacks |= dict.fromkeys(BY_KERNEL_TOO, reason)
    return lacks


def dependants(need: needs.Need) -> list[str]:
    """Mechanisms that cannot do without it, or are worse without it, in order."""
    ways = {
        "process.power-loss": (needs.own_disks, needs.shim),
        "disk.full": (needs.own_disks, needs.shim),
        "resource.files": (needs.shim, needs.descriptor_limits),
    }
    return [name for name in ALL_MECHANISMS if need in ways.get(name, (_NEEDED.get(name),))]


def obstacles() -> dict[str, str | None]:
    """Mechanism -> None where this machine can do it, else the reason and the remedy. Some milliseconds, once."""
    lacks = {name: need() if (need := _NEEDED.get(name)) is not None else None for name in ALL_MECHANISMS}
    return {**lacks, **ABSENT}
