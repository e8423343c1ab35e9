"""What a mechanism is told beside nodes and pairs: numbers, made from the words of a plan.

A plan's parameters are words of closed lists, for people and for the shrinker; mechanisms want units. The translation
is here, once for all environments. A parameter that a plan does not mention has the first value of its list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from nemesis.kinds import Kind

__all__ = [
    "BitFlips",
    "ClockRate",
    "ClockStep",
    "ClockStrobe",
    "CpuShare",
    "DiskErrors",
    "Disturbance",
    "Handover",
    "MessageFilter",
    "PowerCut",
    "Reconfiguration",
    "Setting",
    "SlowSyncs",
    "Throttle",
    "Truncation",
    "setting_of",
]


class Disturbance(msgspec.Struct, frozen=True, kw_only=True):
    """Of each directed pair; shares are probabilities per message and add up to 1 at most."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    """Share held back, so that later messages overtake them."""
    corruption: float = 0.0
    silent: bool = False
    """The network's checksums fit what was corrupted: only a checksum of the program's own tells."""
    delay_min_ns: int = 0
    delay_max_ns: int = 0


class Throttle(msgspec.Struct, frozen=True):
    """Bandwidth of each directed pair."""

    bytes_per_second: int


class MessageFilter(msgspec.Struct, frozen=True):
    """What to drop: a word of `nemesis.kinds.MESSAGES`."""

    messages: str


class PowerCut(msgspec.Struct, frozen=True):
    """`writing`: in the middle of the node's next write, or when half of the fault's time is over without one."""

    moment: Literal["now", "writing"]


class ClockStep(msgspec.Struct, frozen=True):
    """Ahead, or with a negative offset back."""

    offset_ns: int


class ClockStrobe(msgspec.Struct, frozen=True):
    """Ahead by `offset_ns` and back again, `period_ns` from one jump ahead to the next."""

    offset_ns: int
    period_ns: int


class ClockRate(msgspec.Struct, frozen=True):
    """Of true time, in per cent."""

    percent: int


class DiskErrors(msgspec.Struct, frozen=True):
    """Which operations fail."""

    operations: Literal["write", "sync", "any"]


class SlowSyncs(msgspec.Struct, frozen=True):
    """What each sync costs more."""

    delay_ns: int


class BitFlips(msgspec.Struct, frozen=True):
    """How many bits at most; each in a place of its own."""

    bits: int


class Truncation(msgspec.Struct, frozen=True):
    """How many bytes at most."""

    bytes_max: int


class CpuShare(msgspec.Struct, frozen=True):
    """Of one processor, in per cent."""

    percent: int


class Reconfiguration(msgspec.Struct, frozen=True):
    """What becomes of the nodes hit: without membership, or members without a vote.

    Of a pair, one is out after the other: they are swapped in one change (`at-once`), or all are members in between.
    """

    manner: Literal["removed", "learner", "at-once", "one-by-one"]


class Handover(msgspec.Struct, frozen=True):
    """To whom: the node hit, the one whose log is the furthest behind, or anyone, again and again."""

    to: Literal["drawn", "laggard", "anyone"]


Setting = (
    Disturbance
    | Throttle
    | MessageFilter
    | PowerCut
    | ClockStep
    | ClockStrobe
    | ClockRate
    | DiskErrors
    | SlowSyncs
    | BitFlips
    | Truncation
    | CpuShare
    | Reconfiguration
    | Handover
)

_MS = 1_000_000

_LEVELS: dict[str, Disturbance] = {
    "mild": Disturbance(
        loss=0.02, duplication=0.02, reordering=0.05, corruption=0.01, delay_min_ns=0, delay_max_ns=10 * _MS
    ),
    "rough": Disturbance(
        loss=0.1, duplication=0.1, reordering=0.1, corruption=0.03, delay_min_ns=0, delay_max_ns=40 * _MS
    ),
    "storm": Disturbance(
        loss=0.3, duplication=0.2, reordering=0.2, corruption=0.05, delay_min_ns=5 * _MS, delay_max_ns=150 * _MS
    ),
}
"""What `net-flaky` means."""


def setting_of(kind: Kind, params: Mapping[str, str]) -> Setting | None:
    """The numbers of a fault of `kind`; None where the kind has none."""
    make = _SETTINGS.get(kind.mechanism)
    if make is None:
        return None
    return make({parameter.name: params.get(parameter.name, parameter.choices[0]) for parameter in kind.parameters})


def _disturbance(words: Mapping[str, str]) -> Disturbance:
    if "level" in words:
        return _LEVELS[words["level"]]
    delay_ns = _duration_ns(words.get("delay", "0ms"))
    return Disturbance(
        loss=_share(words, "loss"),
        duplication=_share(words, "duplication"),
        reordering=_share(words, "reordering"),
        corruption=_share(words, "corruption"),
        silent=words.get("checksums") == "silent",
        delay_min_ns=delay_ns,
        delay_max_ns=delay_ns + _duration_ns(words.get("jitter", "0ms")),
    )


def _power_cut(words: Mapping[str, str]) -> PowerCut:
    return PowerCut("writing" if words["moment"] == "writing" else "now")


def _disk_errors(words: Mapping[str, str]) -> DiskErrors:
    match words["operations"]:
        case "sync":
            return DiskErrors("sync")
        case "any":
            return DiskErrors("any")
        case _:
            return DiskErrors("write")


def _reconfiguration(words: Mapping[str, str]) -> Reconfiguration:
    match words["manner"]:
        case "learner":
            return Reconfiguration("learner")
        case "at-once":
            return Reconfiguration("at-once")
        case "one-by-one":
            return Reconfiguration("one-by-one")
        case _:
            return Reconfiguration("removed")


def _handover(words: Mapping[str, str]) -> Handover:
    match words.get("to"):
        case "drawn":
            return Handover("drawn")
        case "laggard":
            return Handover("laggard")
        case _:
            return Handover("anyone")


_SETTINGS: dict[str, Callable[[Mapping[str, str]], Setting]] = {
    "network.disturb": _disturbance,
    "network.throttle": lambda words: Throttle(_bytes_per_second(words["bandwidth"])),
    "network.filter": lambda words: MessageFilter(words["messages"]),
    "process.power-loss": _power_cut,
    "clock.step": lambda words: ClockStep(_duration_ns(words["offset"])),
    "clock.strobe": lambda words: ClockStrobe(_duration_ns(words["offset"]), _duration_ns(words["period"])),
    "clock.rate": lambda words: ClockRate(_percent(words["rate"])),
    "disk.error": _disk_errors,
    "disk.slow": lambda words: SlowSyncs(_duration_ns(words["delay"])),
    "disk.flip": lambda words: BitFlips(int(words["bits"])),
    "disk.truncate": lambda words: Truncation(int(words["bytes"])),
    "cluster.membership": _reconfiguration,
    "cluster.transfer": _handover,
    "resource.cpu": lambda words: CpuShare(_percent(words["share"])),
}
"""By mechanism; each gives the same type for all kinds of the mechanism."""


def _share(words: Mapping[str, str], name: str) -> float:
    return _percent(words.get(name, "0%")) / 100


def _percent(word: str) -> int:
    return int(word.removesuffix("%"))


def _duration_ns(word: str) -> int:
    number, unit = _parts(word)
    return number * {"ms": _MS, "s": 1000 * _MS}[unit]


def _bytes_per_second(word: str) -> int:
    number, unit = _parts(word)
    return number * {"B/s": 1, "kB/s": 1000}[unit]


def _parts(word: str) -> tuple[int, str]:
    match = re.fullmatch(r"([+-]?\d+)([a-zA-Z/]+)", word)
    assert match is not None, f"{word!r} of the registry is no number with a unit"
    return int(match[1]), match[2]
