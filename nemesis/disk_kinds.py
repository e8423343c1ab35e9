"""Kinds of fault of the family `disk`: operations fail or take long, stored bytes are not what was written. A literal.

A node may end itself when its disk fails it, and may refuse to start on damaged data; undoing mends the disk and starts
the node again. Damage to synced data strikes a minority of the nodes at a time, and only what a later synced write of
the same node vouches for: the very last write of a log cannot be told from one that power loss interrupted.
"""

from __future__ import annotations

from functools import partial

from nemesis.kinds import Family, Hold, Kind, Parameter, Shape

__all__ = ["DISK"]

_MS = 1_000_000
_S = 1_000 * _MS

_failing = partial(
    Kind,
    family="disk",
    undo="the disk works again, and a node that ended for this is started",
    shape=Shape.TARGET,
    hold=Hold.DISK,
    targets=("one", "leader", "follower", "self"),
    nodes_min=1,
    lasts_ns=(300 * _MS, 3 * _S),
    trap_ns=(20 * _MS, 1 * _S),
    triggers=("appended", "voted", "became-leader"),
    probe="node-answers",
)

_damaging = partial(
    Kind,
    family="disk",
    undo="the bytes are as they were, and a node that is down is started",
    shape=Shape.TARGET,
    hold=Hold.DISK,
    targets=("one", "leader", "follower"),
    nodes_min=3,
    lasts_ns=(300 * _MS, 3 * _S),
    weight=2,
    probe="node-answers",
)

DISK = Family(
    name="disk",
    description="disks fill up, fail, stall, and damage what they hold; damage strikes a minority at a time",
    kinds=(
        _failing(
            name="disk-full",
            mechanism="disk.full",
            description="writes fail with ENOSPC",
            evidence=("write_errors",),
        ),
        _failing(
            name="disk-error",
            mechanism="disk.error",
            description="operations fail with EIO",
            evidence=("io_errors",),
            parameters=(Parameter("operations", ("write", "sync", "any"), "which ones: writes, syncs, or reads too"),),
        ),
        _failing(
            name="disk-read-only",
            mechanism="disk.read-only",
            description="whatever changes a file fails with EROFS",
            evidence=("write_errors",),
        ),
        _failing(
            name="disk-slow",
            mechanism="disk.slow",
            description="every sync takes longer",
            undo="syncs take as long as before",
            evidence=("syncs_delayed",),
            parameters=(Parameter("delay", ("50ms", "10ms", "300ms"), "of each sync"),),
        ),
        _failing(
            name="disk-hang",
            mechanism="disk.hang",
            description="syncs do not come back; the node hears and speaks on",
            undo="what was held ends",
            evidence=("syncs_held",),
        ),
        _failing(
            name="disk-torn",
            mechanism="disk.tear",
            description="power is lost in the middle of a write; parts of unsynced writes are on disk, in any order",
            undo="the process is started again on what the disk kept",
            evidence=("bytes_torn",),
            hold=Hold.DOWN,
            nodes_min=3,
            lasts_ns=(100 * _MS, 2 * _S),
            triggers=("appended", "voted"),
        ),
        _damaging(
            name="disk-flip",
            mechanism="disk.flip",
            description="bits of stored data flip while the node is down; it is started on them at once",
            evidence=("bits_flipped",),
            parameters=(Parameter("bits", ("1", "8", "64"), "how many"),),
        ),
        _damaging(
            name="disk-truncate",
            mechanism="disk.truncate",
            description="the end of a file, not synced yet, is cut off while the node is down; it is started at once",
            undo="a node that is down is started; what was cut off was promised to nobody",
            evidence=("bytes_truncated",),
            parameters=(Parameter("bytes", ("1", "64", "4096"), "how many at most"),),
        ),
        _damaging(
            name="disk-misdirect",
            mechanism="disk.misdirect",
            description="a write lands elsewhere in its file; the node is killed and started on that at once",
            evidence=("writes_misdirected",),
        ),
    ),
)
