"""Drawing a plan: which faults, when, how long. All chance comes from named streams of the seed.

Every seed draws its own subset of kinds, its own rates and its own share of traps (swarm testing: Groce et al., "Swarm
testing", ISSTA 2012): a run in which everything goes wrong all the time explores less than runs that each do a few
things. Two promises hold for all of them: everything that was asked for takes part at least twice by the clock, with a
length and with parameters that leave evidence; and the cluster has quiet stretches, so that clients get most of their
work done.

Here belongs the drawing; what the kinds are is `nemesis.registry`, what happens at injection `nemesis.targets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from random import Random

import msgspec

from nemesis.errors import Unavailable, UnknownNemesis
from nemesis.kinds import EVENTS, Kind
from nemesis.plan import AtEvent, AtTime, Fault, Plan, Target, When
from nemesis.registry import FAMILIES, KINDS

__all__ = ["ALL", "NONE", "Drawn", "draw_plan"]

ALL = "all"
NONE = "none"

_MS = 1_000_000
_S = 1_000 * _MS

_CLOCKED_MIN = 2
"""Faults by the clock for every name asked for."""
_CLOCKED_BASE = 4
_CLOCKED_PER_MINUTE = 9
"""By the clock: 13 in 60 s, 5 in 10 s; short runs are denser, because they are run by the thousand."""
_TRAPS_BASE = 4
_TRAPS_PER_MINUTE = 10
"""Traps at most: 14 in 60 s, 5 in 10 s; each seed sets so many per cent of them."""
_LENGTH_SHARE = 6
"""No fault lasts longer than a sixth of the load phase."""
_TRAP_SERIES_MAX = 3
_TRAP_PERCENT = (35, 70, 100)


class Drawn(msgspec.Struct, frozen=True):
    """A plan, and what could not be part of it."""

    plan: Plan
    skipped: dict[str, str]
    """Kind -> reason. Never silently empty: what was asked for is in the plan, skipped here, or refused."""


class _Team(msgspec.Struct, frozen=True):
    """One name that was asked for, with the kinds this seed uses of it."""

    kinds: tuple[Kind, ...]
    weight: int


def draw_plan(
    *,
    seed: int,
    nodes: tuple[str, ...],
    workload: str,
    asked: tuple[str, ...],
    duration_ns: int,
    mechanisms: Mapping[str, str | None],
) -> Drawn:
    """The plan of `seed` for a load phase of `duration_ns`.

    asked: families, kinds, `all` or `none`; with `all` each seed draws some families, more of them for longer phases.
    mechanisms: of `nemesis.kinds.MECHANISMS`, None where the environment has it, else why not. Raises UnknownNemesis,
    and Unavailable for what was asked for by name and cannot be injected; what `all` or a family contains beyond that
    is skipped with the reason.
    """
    chosen, skipped = _select(asked, len(nodes), mechanisms)
    swarm = Random(f"{seed}/nemesis/swarm")
    if ALL in asked:
        chosen = _some_families(chosen, duration_ns, swarm)
    teams = tuple([_team(kinds, swarm) for kinds in chosen])
    faults = _draw_faults(seed, nodes, teams, duration_ns, swarm) if teams else ()
    return Drawn(Plan(seed=seed, nodes=nodes, workload=workload, faults=faults), skipped)


# ── what was asked for ───────────────────────────────────────────────────────────────────────────────────────────────


def _select(
    asked: tuple[str, ...], nodes: int, mechanisms: Mapping[str, str | None]
) -> tuple[tuple[tuple[Kind, ...], ...], dict[str, str]]:
    """The kinds of every name, and the kinds left out."""
    names = _names(asked)
    skipped: dict[str, str] = {}
    chosen = []
    for name in names:
        kinds = FAMILIES[name].kinds if name in FAMILIES else (KINDS[name],)
        obstacles = {kind.name: _obstacle(kind, nodes, mechanisms) for kind in kinds}
        possible = tuple([kind for kind in kinds if obstacles[kind.name] is None])
        if not possible and ALL not in asked:
            reason, fix = obstacles[kinds[0].name] or ("", "")
            raise Unavailable(name, reason, fix)
        if possible:
            chosen.append(possible)
        skipped.update({kind: obstacle[0] for kind, obstacle in obstacles.items() if obstacle is not None})
    return tuple(chosen), skipped


def _names(asked: tuple[str, ...]) -> tuple[str, ...]:
    """What was asked for, each once and in order, `all` and `none` replaced."""
    known = (*FAMILIES, *KINDS, ALL, NONE)
    for name in asked:
        if name not in known:
            raise _unknown(name)
    expanded = [one for name in asked if name != NONE for one in (FAMILIES if name == ALL else (name,))]
    return tuple(dict.fromkeys(expanded))


def _unknown(name: str) -> UnknownNemesis:
    """Families are suggested first: `partitions` means the family, not its first kind."""
    near = get_close_matches(name, FAMILIES, n=1)
    return UnknownNemesis(name, tuple(FAMILIES) if near else (*FAMILIES, *KINDS, ALL, NONE))


def _obstacle(kind: Kind, nodes: int, mechanisms: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Why the kind cannot be injected, and what to do about it; None: it can."""
    lack = mechanisms.get(kind.mechanism, f"this environment has no mechanism {kind.mechanism}")
    if lack is not None:
        return lack, "choose another environment, or leave it out"
    if nodes < kind.nodes_min:
        return f"{kind.name} needs at least {kind.nodes_min} nodes, not {nodes}", "use more nodes, or leave it out"
    return None


def _some_families(
    chosen: tuple[tuple[Kind, ...], ...], duration_ns: int, swarm: Random
) -> tuple[tuple[Kind, ...], ...]:
    """A subset: as many as have room for their sure faults by the clock, or fewer, but two at least."""
    room = _usual(_CLOCKED_BASE, _CLOCKED_PER_MINUTE, duration_ns) * 2 // 3
    count = min(len(chosen), 2 + swarm.randrange(max(1, room - 1)))
    kept = swarm.sample(range(len(chosen)), count)
    return tuple([chosen[index] for index in sorted(kept)])


def _team(kinds: tuple[Kind, ...], swarm: Random) -> _Team:
    """This seed's subset of the kinds, always with one of the usual ones, so that no run is all catastrophe."""
    usual = [kind for kind in kinds if kind.weight == max(each.weight for each in kinds)]
    sure = usual[swarm.randrange(len(usual))]
    subset = tuple([kind for kind in kinds if swarm.randrange(2) or kind is sure])
    return _Team(subset, swarm.randrange(1, 5))


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _draw_faults(
    seed: int, nodes: tuple[str, ...], teams: tuple[_Team, ...], duration_ns: int, swarm: Random
) -> tuple[Fault, ...]:
    """Traps use only kinds that the clock uses too: its faults are sure to start, and a kind that never takes effect
    makes a run vacuous."""
    on_clock = [(team, True) for team in teams for _ in range(_CLOCKED_MIN)]
    usual = _usual(_CLOCKED_BASE, _CLOCKED_PER_MINUTE, duration_ns) * swarm.randrange(80, 121) // 100
    on_clock += [(_weighted_team(teams, swarm), False) for _ in range(usual - len(on_clock))]
    swarm.shuffle(on_clock)
    faults = [
        _clocked(Random(f"{seed}/nemesis/clocked/{number}"), team, number, len(on_clock), duration_ns, sure=sure)
        for number, (team, sure) in enumerate(on_clock)
    ]
    traps = _usual(_TRAPS_BASE, _TRAPS_PER_MINUTE, duration_ns) * _TRAP_PERCENT[swarm.randrange(3)] // 100
    clocked_kinds = frozenset(fault.kind for fault in faults)
    armed = tuple([team for team in [_armed(team, clocked_kinds) for team in teams] if team.kinds])
    faults.sort(key=lambda fault: fault.at.ns if isinstance(fault.at, AtTime) else 0)
    for number in range(traps if armed else 0):
        random = Random(f"{seed}/nemesis/trap/{number}")
        faults.extend(_traps(random, _weighted_team(armed, random), nodes, duration_ns))
    return tuple([msgspec.structs.replace(fault, id=f"f{number:02}") for number, fault in enumerate(faults, start=1)])


def _usual(base: int, per_minute: int, duration_ns: int) -> int:
    return base + duration_ns * per_minute // (60 * _S)


def _armed(team: _Team, clocked_kinds: frozenset[str]) -> _Team:
    """The team with those of its kinds that can be traps and that the clock uses."""
    kinds = tuple([kind for kind in team.kinds if kind.trap_ns is not None and kind.name in clocked_kinds])
    return _Team(kinds, team.weight)


def _weighted_team(teams: tuple[_Team, ...], random: Random) -> _Team:
    return random.choices(teams, weights=[team.weight for team in teams])[0]


def _weighted_kind(kinds: tuple[Kind, ...], random: Random) -> Kind:
    return random.choices(kinds, weights=[kind.weight for kind in kinds])[0]


def _clocked(random: Random, team: _Team, number: int, count: int, duration_ns: int, *, sure: bool) -> Fault:
    """A fault by the clock, in its own slot of the load phase three times out of four, else anywhere.

    Slots leave quiet stretches between faults; the others make them overlap.
    """
    kind = _weighted_kind(team.kinds, random)
    length_ns = _length(random, kind.lasts_ns, duration_ns)
    slot_ns = duration_ns // count
    start_ns = number * slot_ns + random.randrange(max(1, slot_ns // 2))
    if random.randrange(4) == 0:
        start_ns = random.randrange(max(1, duration_ns))
    latest_ns = max(0, duration_ns - length_ns - duration_ns // 50)
    symbols = tuple([symbol for symbol in kind.targets if symbol != "self"])
    fault = _fault(random, kind, AtTime(min(start_ns, latest_ns) // _MS * _MS), length_ns, _one_of(symbols, random))
    if not sure:
        return fault
    surest = {parameter.name: parameter.surest for parameter in kind.parameters if parameter.surest}
    return msgspec.structs.replace(fault, params=fault.params | surest)


def _traps(random: Random, team: _Team, nodes: tuple[str, ...], duration_ns: int) -> tuple[Fault, ...]:
    """A fault by an event, or a few of the same at consecutive occurrences: so whole elections are struck."""
    kind = _weighted_kind(team.kinds, random)
    events = kind.triggers or tuple(EVENTS)
    name = random.choices(events, weights=[EVENTS[event].weight for event in events])[0]
    first = _nth(random, name, duration_ns)
    where = nodes[random.randrange(len(nodes))] if random.randrange(4) == 0 else None
    if where is not None:
        first = 1 + first // len(nodes)
    rare = EVENTS[name].per_second == 0
    series = random.randrange(1, _TRAP_SERIES_MAX + 1) if rare else 1
    target: Target | None = "self" if "self" in kind.targets else _one_of(kind.targets, random)
    assert kind.trap_ns is not None
    return tuple(
        [
            _fault(random, kind, AtEvent(name, where, first + step), _trap_length(random, kind.trap_ns), target)
            for step in range(series)
        ]
    )


def _fault(random: Random, kind: Kind, at: When, length_ns: int, target: Target | None) -> Fault:
    params = {parameter.name: _one_of(parameter.choices, random) for parameter in kind.parameters}
    return Fault(id="", kind=kind.name, at=at, for_ns=length_ns, target=target, params=params)


def _one_of(choices: tuple[str, ...], random: Random) -> str | None:
    return choices[random.randrange(len(choices))] if choices else None


def _nth(random: Random, event: str, duration_ns: int) -> int:
    """Which occurrence: one of the first few of a rare event, any within the load phase of a frequent one."""
    per_second = EVENTS[event].per_second
    if per_second == 0:
        return 1 + random.randrange(1 << random.randrange(4))
    return 1 + random.randrange(max(1, per_second * duration_ns // _S))


def _length(random: Random, between_ns: tuple[int, int], duration_ns: int) -> int:
    """Short ones more often than long ones; in whole milliseconds."""
    shortest_ns, longest_ns = between_ns
    longest_ns = max(shortest_ns, min(longest_ns, duration_ns // _LENGTH_SHARE))
    drawn_ns = min(random.randrange(longest_ns - shortest_ns + 1) for _ in range(2))
    return max(_MS, (shortest_ns + drawn_ns) // _MS * _MS)


def _trap_length(random: Random, between_ns: tuple[int, int]) -> int:
    """Every order of magnitude alike (1 ms, 30 ms and 1 s find different bugs), drawn without logarithms."""
    shortest_ns, longest_ns = between_ns
    octaves = (longest_ns // shortest_ns).bit_length() - 1
    base_ns = shortest_ns << random.randrange(octaves + 1)
    return min(longest_ns, base_ns + random.randrange(base_ns)) // _MS * _MS
