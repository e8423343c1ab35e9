"""Kinds of fault of the families `kill`, `pause` and `power-loss`: what becomes of processes. A literal.

Traps are short, from 1 ms: what comes back at once meets its own past, and event-driven crashes find what clocks do
not.
"""

from __future__ import annotations

from nemesis.kinds import Family, Hold, Kind, Parameter, Shape

__all__ = ["KILL", "PAUSE", "POWER_LOSS"]

_MS = 1_000_000
_S = 1_000 * _MS

_MOMENT = Parameter(
    "moment",
    ("now", "writing"),
    "when: at once, or in the middle of the node's next write, where there is most to lose",
    surest="writing",
)

KILL = Family(
    name="kill",
    description="processes end as by SIGKILL and are started again; what they wrote, synced or not, is still there",
    kinds=(
        Kind(
            name="kill-one",
            family="kill",
            mechanism="process.kill",
            description="one node",
            undo="the process is started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("one", "follower", "self"),
            nodes_min=1,
            lasts_ns=(50 * _MS, 3 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="kill-leader",
            family="kill",
            mechanism="process.kill",
            description="the leader",
            undo="the process is started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("leader",),
            nodes_min=1,
            lasts_ns=(50 * _MS, 3 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="kill-minority",
            family="kill",
            mechanism="process.kill",
            description="as many nodes as the system promises to do without",
            undo="the processes are started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("minority",),
            nodes_min=3,
            lasts_ns=(100 * _MS, 3 * _S),
            weight=2,
            probe="node-answers",
        ),
        Kind(
            name="kill-majority",
            family="kill",
            mechanism="process.kill",
            description="more nodes than the system can serve without; nothing acknowledged may be lost",
            undo="the processes are started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("majority",),
            nodes_min=2,
            lasts_ns=(50 * _MS, 1 * _S),
            weight=1,
            probe="node-answers",
        ),
        Kind(
            name="kill-all",
            family="kill",
            mechanism="process.kill",
            description="all nodes at once",
            undo="the processes are started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("all",),
            nodes_min=1,
            lasts_ns=(50 * _MS, 800 * _MS),
            weight=1,
            probe="node-answers",
        ),
        Kind(
            name="kill-terminate",
            family="kill",
            mechanism="process.terminate",
            description="one node, asked to end as by SIGTERM, so that it may put its affairs in order",
            undo="the process is started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("one", "leader", "self"),
            nodes_min=1,
            lasts_ns=(300 * _MS, 3 * _S),
            trap_ns=(50 * _MS, 1 * _S),
            weight=2,
            probe="node-answers",
        ),
    ),
)

PAUSE = Family(
    name="pause",
    description="processes stand still as by SIGSTOP and go on as if nothing had happened",
    kinds=(
        Kind(
            name="pause-one",
            family="pause",
            mechanism="process.pause",
            description="one node",
            undo="the process goes on",
            evidence=("inputs_held", "timers_shifted"),
            shape=Shape.TARGET,
            hold=Hold.PAUSED,
            targets=("one", "follower", "self"),
            nodes_min=1,
            lasts_ns=(200 * _MS, 3 * _S),
            trap_ns=(20 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="pause-leader",
            family="pause",
            mechanism="process.pause",
            description="the leader, which does not notice that time passes and others elect",
            undo="the process goes on",
            evidence=("inputs_held", "timers_shifted"),
            shape=Shape.TARGET,
            hold=Hold.PAUSED,
            targets=("leader",),
            nodes_min=1,
            lasts_ns=(200 * _MS, 3 * _S),
            trap_ns=(20 * _MS, 1 * _S),
            probe="node-answers",
        ),
    ),
)

POWER_LOSS = Family(
    name="power-loss",
    description="a machine loses power: its process ends and what it did not sync is lost; never more than a minority "
    "at a time",
    kinds=(
        Kind(
            name="power-loss-one",
            family="power-loss",
            mechanism="process.power-loss",
            description="one node",
            undo="the process is started again on what the disk kept",
            evidence=("unsynced_bytes_lost", "unsynced_bytes_at_risk"),
            parameters=(_MOMENT,),
            triggers=("appended", "voted"),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("one", "follower", "self"),
            nodes_min=1,
            lasts_ns=(50 * _MS, 2 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="power-loss-leader",
            family="power-loss",
            mechanism="process.power-loss",
            description="the leader",
            undo="the process is started again on what the disk kept",
            evidence=("unsynced_bytes_lost", "unsynced_bytes_at_risk"),
            parameters=(_MOMENT,),
            triggers=("appended", "voted"),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("leader",),
            nodes_min=1,
            lasts_ns=(50 * _MS, 2 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
    ),
)
