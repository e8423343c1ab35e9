"""Kinds of fault of the family `clock`: a node's time is not that of the others. A literal.

Where a node lives by its monotonic clock (the simulator), time never goes back: what was gained is never given up.
"""

from __future__ import annotations

from functools import partial

from nemesis.kinds import Family, Hold, Kind, Parameter, Shape

__all__ = ["CLOCK"]

_MS = 1_000_000
_S = 1_000 * _MS

_clock = partial(
    Kind,
    family="clock",
    evidence=("timers_shifted", "clock_steps_seen"),
    shape=Shape.TARGET,
    hold=Hold.CLOCK,
    targets=("one", "leader", "follower", "minority"),
    nodes_min=1,
    lasts_ns=(500 * _MS, 4 * _S),
    probe="node-answers",
)

CLOCK = Family(
    name="clock",
    description="clocks of some nodes jump, or go at another rate than the others",
    kinds=(
        _clock(
            name="clock-step",
            mechanism="clock.step",
            description="a clock jumps ahead, or stands still for as long as it would have jumped back",
            undo="the clock runs on from where it is; a wall clock jumps back",
            parameters=(Parameter("offset", ("+1s", "+200ms", "+60s", "-200ms", "-1s"), "how far"),),
            targets=("one", "leader", "follower", "minority", "self"),
            trap_ns=(100 * _MS, 1 * _S),
            triggers=("became-candidate", "became-leader", "voted", "acknowledged"),
        ),
        _clock(
            name="clock-strobe",
            mechanism="clock.strobe",
            description="a clock jumps ahead and falls back, again and again",
            undo="the clock runs evenly",
            parameters=(
                Parameter("offset", ("+200ms", "+50ms", "+1s"), "how far"),
                Parameter("period", ("400ms", "100ms"), "of ahead and back together"),
            ),
        ),
        _clock(
            name="clock-rate",
            mechanism="clock.rate",
            description="a clock is too fast or too slow",
            undo="the clock goes at its own rate",
            evidence=("timers_shifted",),
            parameters=(Parameter("rate", ("200%", "50%", "125%", "80%", "500%", "20%"), "of true time"),),
        ),
    ),
)
