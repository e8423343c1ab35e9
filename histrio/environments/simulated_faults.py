"""The registry of the simulator's mechanisms, and why some are absent. The mechanisms are in modules by family."""

from __future__ import annotations

from collections.abc import Mapping

from histrio.environments.simulated_clock_faults import CLOCK_MECHANISMS
from histrio.environments.simulated_disk_faults import DISK_MECHANISMS
from histrio.environments.simulated_mechanism import Counts, MechanismFactory, SimulatedMechanism, Spoke
from histrio.environments.simulated_network_faults import NETWORK_MECHANISMS
from histrio.environments.simulated_orders import ORDER_MECHANISMS
from histrio.environments.simulated_process_faults import PROCESS_MECHANISMS

__all__ = ["ABSENT", "MECHANISMS", "Counts", "MechanismFactory", "SimulatedMechanism", "Spoke"]

MECHANISMS: Mapping[str, MechanismFactory] = {
    **NETWORK_MECHANISMS,
    **PROCESS_MECHANISMS,
    **CLOCK_MECHANISMS,
    **DISK_MECHANISMS,
    **ORDER_MECHANISMS,
}
"""Name in the nemesis registry -> mechanism."""

ABSENT: Mapping[str, str] = {
    "resource.cpu": "the simulator has no processor to starve: a node's work takes no share of anything",
    "resource.memory": "the simulator has no memory of its own to limit: all nodes live in the harness's process",
    "resource.files": "the simulator has no file descriptors: files and connections are records",
}
"""Mechanisms that make no sense here, and why."""
