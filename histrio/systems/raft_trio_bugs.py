"""The planted bugs of raft_trio: what the harness must find, each a different `Build` of the same node.

A bug replaces one decision, codec or file operation of a correct build. raft_trio itself contains no trace of them.
Ids in `reference` are those of the catalogue: E elections, L replication, C commit, P persistence, R reads, S
snapshots, K state machine and clients.
"""

from __future__ import annotations

from collections.abc import Mapping

from histrio.systems.planted_bug import PlantedBug
from histrio.systems.raft_trio_bugs_elections import ELECTION_BUGS
from histrio.systems.raft_trio_bugs_replication import REPLICATION_BUGS
from histrio.systems.raft_trio_bugs_service import SERVICE_BUGS
from histrio.systems.raft_trio_bugs_snapshots import SNAPSHOT_BUGS
from histrio.systems.raft_trio_bugs_storage import STORAGE_BUGS

__all__ = ["DEMO_BUG", "PLANTED"]

_CATALOGUE = (*ELECTION_BUGS, *REPLICATION_BUGS, *STORAGE_BUGS, *SERVICE_BUGS, *SNAPSHOT_BUGS)

PLANTED: Mapping[str, PlantedBug] = {planted.bug.name: planted for planted in _CATALOGUE}

DEMO_BUG = "ack_on_append"
"""What `histrio demo` looks for."""
