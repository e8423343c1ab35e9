"""Where settings come from and which source wins: option > environment variable > profile > file > default.

Here belong the file (`histrio.toml`, or `[tool.histrio]` of pyproject.toml), the profiles, the environment variables,
and their merging into one `Request`. Not here: the settings themselves (`histrio.settings`), whether a name exists
(`histrio.catalogue`), what is decided from the seed (`histrio.planning`). For users: docs/configuration.md.
"""

from __future__ import annotations

import difflib
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from histrio.errors import UsageProblem
from histrio.settings import SETTINGS, Expectation, PerNode, Setting
from histrio.trial import TrialSpec
from nemesis.errors import MalformedPlan
from nemesis.plan import Plan

__all__ = [
    "BUILT_IN_PROFILES",
    "Given",
    "Layer",
    "Request",
    "command_line",
    "environment_layer",
    "file_layers",
    "file_schema",
    "find_file",
    "option_layer",
    "profile_layers",
    "resolve",
    "saved_plan",
    "suggestion",
    "unknown_variables",
]

BUILT_IN_PROFILES: Mapping[str, Mapping[str, object]] = {
    "smoke": {"time-limit": "10s", "nodes": 3},
    "ci": {"time-limit": "2m"},
    "nightly": {"time-limit": "10m", "nemesis": "all", "event-budget": 200_000_000},
}
"""smoke: before a commit. ci: on every change. nightly: once, long, with everything the environment can inject."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_OTHER_VARIABLES = ("HISTRIO_CONFIG", "HISTRIO_PROFILE", "HISTRIO_REQUIRE", "HISTRIO_SHARED_DATA")
"""HISTRIO_REQUIRE belongs to the project's own test command."""
CLIENTS_PER_NODE = 2


@dataclass(frozen=True, slots=True)
class Given:
    """One value as a source gave it, and where, for messages: `--rate`, `histrio.toml: rate`."""

    raw: object
    origin: str


@dataclass(frozen=True, slots=True)
class Layer:
    """All that one source says, by setting. Relative paths in it start at `base`."""

    values: Mapping[str, Given]
    base: Path = Path()


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for, all sources merged."""

    spec: TrialSpec
    expect: Expectation | None


# ── sources ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def option_layer(options: Mapping[str, object]) -> Layer:
    """What the command line gave: setting name -> value. None and () mean: not given."""
    return Layer({name: Given(raw, f"--{name}") for name, raw in options.items() if raw not in (None, ())})


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The environment variables of all settings; an empty variable counts as not set."""
    return Layer({s.name: Given(environ[s.variable], s.variable) for s in SETTINGS if environ.get(s.variable)})


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each variable that looks like one of ours and is none. Not an error: the machine may own it."""
    known = [setting.variable for setting in SETTINGS] + list(_OTHER_VARIABLES)
    strange = sorted(name for name in environ if name.startswith("HISTRIO_") and name not in known)
    return [f"{name} is not read: {suggestion(name, known)}" for name in strange]


def find_file(start: Path) -> Path | None:
    """The configuration that holds in `start`: of the nearest folder upwards that has one.

    In a folder, `histrio.toml` goes before a pyproject.toml with a `[tool.histrio]` table.
    """
    for folder in (start, *start.parents):
        if (own := folder / "histrio.toml").is_file():
            return own
        shared = folder / "pyproject.toml"
        if shared.is_file() and _table(shared) is not None:
            return shared
    return None


def file_layers(path: Path, profile: str | None) -> list[Layer]:
    """What a configuration file says, highest first: the chosen profile laid over the built-in one, then the rest.

    Raises UsageProblem for a file that cannot be read and for unknown keys anywhere in it.
    """
    table = dict(_table(path) or {})
    profiles = table.pop("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(body, dict) for body in profiles.values()):
        raise UsageProblem(f"{path}: `profile` must be a table of tables", fix="write [profile.ci]")
    for name, body in profiles.items():
        _refuse_unknown(path, body, f"profile.{name}.")
    _refuse_unknown(path, table, "")
    chosen = [] if profile is None else _profile(profile, profiles, path)
    return [*chosen, _layer(path, table, "")]


def profile_layers(profile: str | None) -> list[Layer]:
    """The built-in profile, where there is no file. Raises UsageProblem for an unknown name."""
    return [] if profile is None else _profile(profile, {}, None)


def file_schema() -> dict[str, object]:
    """JSON Schema of histrio.toml, for editors."""
    settings = {s.name: {"description": s.about, **s.schema} for s in SETTINGS}
    body = {"type": "object", "properties": settings, "additionalProperties": False}
    profiles = {"type": "object", "description": "named sets of settings", "additionalProperties": body}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "histrio.toml",
        **body,
        "properties": {**settings, "profile": profiles},
    }


def _profile(name: str, profiles: Mapping[str, Mapping[str, object]], path: Path | None) -> list[Layer]:
    if name not in profiles and name not in BUILT_IN_PROFILES:
        known = sorted({*profiles, *BUILT_IN_PROFILES})
        raise UsageProblem(f"there is no profile `{name}`", fix=suggestion(name, known))
    layers = [_layer(path, profiles[name], f"profile.{name}.")] if path and name in profiles else []
    if name in BUILT_IN_PROFILES:
        built_in = {key: Given(raw, f"profile {name}") for key, raw in BUILT_IN_PROFILES[name].items()}
        layers.append(Layer(built_in))
    return layers


def _layer(path: Path, table: Mapping[str, object], prefix: str) -> Layer:
    return Layer({key: Given(raw, f"{path}: {prefix}{key}") for key, raw in table.items()}, path.parent)


def _table(path: Path) -> Mapping[str, object] | None:
    """The settings in a file; None for a pyproject.toml that has none."""
    try:
        with path.open("rb") as file:
            document: dict[str, object] = tomllib.load(file)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}", fix="give another file to --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path}: no TOML: {error}", why="a configuration is read whole or not at all") from None
    if path.name != "pyproject.toml":
        return document
    tools = document.get("tool")
    table = tools.get("histrio") if isinstance(tools, dict) else None
    return table if isinstance(table, dict) else None


def _refuse_unknown(path: Path, table: Mapping[str, object], prefix: str) -> None:
    for key in table:
        if key not in _BY_NAME:
            raise UsageProblem(
                f"{path}: unknown key `{prefix}{key}`",
                why="a key that nothing reads would be a setting that silently changes nothing",
                fix=suggestion(key, _BY_NAME),
            )


def suggestion(word: str, known: Iterable[str]) -> str:
    """A remedy for a mistyped word: the nearest known one, else all of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(names) or 'none'}"


# ── merging ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def resolve(layers: Sequence[Layer], *, seed: int) -> Request:
    """Merge the sources, highest first. seed: for a run that was given neither a seed nor a plan, which has one.

    A source that names a setting replaces it whole; lists and tables are not added up. Raises UsageProblem naming the
    source of a value that cannot be read.
    """
    read: dict[str, object] = {"concurrency": PerNode(CLIENTS_PER_NODE)}
    for layer in reversed(layers):
        for name, given in layer.values.items():
            read[name] = _read(_BY_NAME[name], given, layer.base)
    expect = read.pop("expect", None)
    nodes = read.get("nodes", TrialSpec().nodes)
    clients = read["concurrency"]
    if isinstance(clients, PerNode) and isinstance(nodes, int):
        read["concurrency"] = clients.factor * nodes
    if "seed" not in read:
        plan = read.get("plan")
        read["seed"] = saved_plan(plan).seed if isinstance(plan, Path) else seed
    fields = {str(_BY_NAME[name].field): value for name, value in read.items()}
    spec = msgspec.convert(fields, TrialSpec)
    return Request(spec, expect if isinstance(expect, Expectation) else None)


def _read(setting: Setting, given: Given, base: Path) -> object:
    try:
        value = setting.read(given.raw)
    except ValueError as error:
        raise UsageProblem(f"{given.origin}: {error}", fix=f"{setting.name}: {setting.about}") from None
    return base / value if isinstance(value, Path) else value


def saved_plan(path: Path) -> Plan:
    """A plan from its file. Raises UsageProblem naming file and key."""
    from nemesis.planfile import load_plan  # here, because `histrio --help` need not know every fault

    try:
        return load_plan(path)
    except MalformedPlan as error:
        raise UsageProblem(str(error), why="a plan is replayed exactly or not at all", fix=error.fix) from None


def command_line(spec: TrialSpec) -> str:
    """The shell command that asks for exactly `spec`: the seed, and what differs from the defaults."""
    usual = msgspec.structs.replace(TrialSpec(), concurrency=CLIENTS_PER_NODE * spec.nodes)
    words = ["histrio", "run", "--seed", str(spec.seed)]
    for setting in SETTINGS:
        if setting.field is None or setting.field == "seed":
            continue
        value = getattr(spec, setting.field)
        if value != getattr(usual, setting.field):
            for argument in setting.show(value):
                words += [setting.option] if setting.flag else [setting.option, argument]
    return shlex.join(words)
