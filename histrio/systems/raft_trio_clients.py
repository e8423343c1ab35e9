"""Broken clients: planted bugs on the client's side of raft_trio, selected by `--bug` as those of its nodes are.

A client that repeats what may have happened breaks a correct system's promises. Here belong clients that retry, and the
node's rule that they rely on; one that misjudges outcomes is in `raft_trio_bugs_service`, broken machines are in
`raft_trio_machines`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from histrio.systems.raft_trio_hunts import BLIND_RETRIES, RETRIES
from histrio.systems.system import Bug
from raft_trio.build import Build

__all__ = ["BROKEN_CLIENTS", "BrokenClient", "ClientMode"]


@dataclass(frozen=True, slots=True)
class ClientMode:
    """How the clients of a run behave."""

    retrying: bool = False
    """The client of `raft_trio_retrying`, else the one that is bound to a node and never retries."""
    anew: bool = False
    """Every try takes a new sequence number."""


def _unchanged(build: Build) -> Build:
    return build


@dataclass(frozen=True, slots=True)
class BrokenClient:
    """A catalogue entry, the clients that have it, and the nodes they talk to."""

    bug: Bug
    client: ClientMode
    workload: str
    """The workload that shows it best."""
    plant: Callable[[Build], Build] = _unchanged


def _every_copy_is_new(build: Build) -> Build:
    return replace(build, node_rules=replace(build.node_rules, is_new_command=lambda last, sequence: True))


_CATALOGUE = (
    BrokenClient(
        Bug(
            name="blind_retry",
            reference="K6; jetcd's retries found by Jepsen, etcd #14890",
            change="a client that got no answer sends its command again as a new one",
            detectors=("linearizability",),
            hunt=BLIND_RETRIES,
        ),
        ClientMode(retrying=True, anew=True),
        "counter",
    ),
    BrokenClient(
        Bug(
            name="no_dedup",
            reference="K1; thesis §6.3",
            change="nodes carry a command out again each time that a retrying client's copy of it is committed",
            detectors=("linearizability",),
            hunt=RETRIES,
        ),
        ClientMode(retrying=True),
        "append",
        _every_copy_is_new,
    ),
)

BROKEN_CLIENTS: Mapping[str, BrokenClient] = {broken.bug.name: broken for broken in _CATALOGUE}
