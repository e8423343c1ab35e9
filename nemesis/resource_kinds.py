"""Kinds of fault of the family `resources`: too little processor, memory or file descriptors. A literal.

They need a kernel that counts and limits; the simulator has none.
"""

from __future__ import annotations

from functools import partial

from nemesis.kinds import Family, Hold, Kind, Parameter, Shape

__all__ = ["RESOURCES"]

_MS = 1_000_000
_S = 1_000 * _MS

_resource = partial(
    Kind,
    family="resources",
    undo="the limit is lifted, and a node that ended for this is started",
    shape=Shape.TARGET,
    hold=Hold.LIMITS,
    targets=("one", "leader", "follower"),
    nodes_min=1,
    lasts_ns=(1 * _S, 4 * _S),
    probe="node-answers",
)

RESOURCES = Family(
    name="resources",
    description="a node gets little processor time, memory or few file descriptors",
    kinds=(
        _resource(
            name="cpu-starve",
            mechanism="resource.cpu",
            description="a small share of one processor",
            undo="the processor is there again",
            evidence=("throttled_periods",),
            parameters=(Parameter("share", ("10%", "5%", "25%"), "of one processor"),),
        ),
        _resource(
            name="memory-limit",
            mechanism="resource.memory",
            description="less memory than the node needs, so that the kernel ends it",
            evidence=("oom_kills",),
        ),
        _resource(
            name="files-limit",
            mechanism="resource.files",
            description="no file or connection beyond those that are open",
            evidence=("file_errors",),
        ),
    ),
)
