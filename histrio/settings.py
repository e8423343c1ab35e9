"""The settings of a run: one table with the name, the meaning and the reader of each.

A setting has one name everywhere: `--time-limit`, `time-limit = "60s"` in the file, `HISTRIO_TIME_LIMIT`. Its reader
takes what any of the three gives (text, or a TOML value) and returns the value or raises ValueError with a sentence
that completes "<source>: ". Where values come from and which wins is `histrio.config`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from checker.records import Validity

__all__ = ["SETTINGS", "Expectation", "PerNode", "Setting", "duration_s"]


@dataclass(frozen=True, slots=True)
class PerNode:
    """A number that grows with the cluster: `2n` is two for each node."""

    factor: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a run is expected to find: `invalid`, or `invalid:` and the beginning of a signature."""

    validity: Validity
    signature: str | None = None

    def __str__(self) -> str:
        return str(self.validity) if self.signature is None else f"{self.validity}:{self.signature}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    metavar: str
    about: str
    """One clause, for --help and docs/configuration.md."""
    read: Callable[[object], object]
    schema: Mapping[str, object]
    """JSON Schema of the value in a file."""
    field: str | None = None
    """The field of TrialSpec it fills; None: it is no part of a trial."""
    show: Callable[[object], tuple[str, ...]] = lambda value: (str(value),)
    """A field's value as arguments of the option, which is given once for each."""
    repeated: bool = False
    """Whether the option may be given several times, each adding to it."""
    flag: bool = False
    """Whether the option stands alone, and means yes."""

    @property
    def option(self) -> str:
        """`--time-limit`."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """`HISTRIO_TIME_LIMIT`."""
        return "HISTRIO_" + self.name.upper().replace("-", "_")


# ── readers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(ms|s|m|h|)")
_PER_NODE = re.compile(r"(\d*)n")


def _text(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise ValueError(f"{given!r} is no name")
    return given


def _text_or_none(given: object) -> str | None:
    text = _text(given)
    return None if text == "none" else text


def _path(given: object) -> Path:
    return Path(_text(given))


def _whole(given: object) -> int:
    if isinstance(given, str) and re.fullmatch(r"[+-]?\d(_?\d)*", given.strip()):
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"{given!r} is no whole number")
    return given


def _count(given: object) -> int:
    if (number := _whole(given)) < 1:
        raise ValueError(f"{number} is too small: at least 1")
    return number


def _seed(given: object) -> int:
    if (number := _whole(given)) < 0:
        raise ValueError(f"{number} is negative; a seed is a whole number from 0")
    return number


def _rate(given: object) -> float:
    try:
        number = float(given) if isinstance(given, (str, int, float)) and not isinstance(given, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"{given!r} is no rate; write operations per second, such as 200, or 0 for no limit")
    return number


def duration_s(given: object) -> float:
    """Seconds of `60s`, `500ms`, `2m`, `1h` or a number. Raises ValueError."""
    text = str(given) if isinstance(given, (str, int, float)) and not isinstance(given, bool) else ""
    match = _DURATION.fullmatch(text.strip())
    if match is None or (seconds := float(match[1]) * _UNITS_S[match[2]]) <= 0:
        raise ValueError(f"{given!r} is no duration; write 60s, 500ms, 2m or plain seconds")
    return seconds


def _concurrency(given: object) -> int | PerNode:
    if isinstance(given, str) and (match := _PER_NODE.fullmatch(given.strip())):
        return PerNode(_count(match[1] or "1"))
    try:
        return _count(given)
    except ValueError:
        raise ValueError(f"{given!r} is no number of clients; write 10, or 2n for two per node") from None


def _names(given: object) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"{given!r} is no list of names; write partition,kill or none or all")
    names = tuple(dict.fromkeys(part.strip() for part in parts))
    if not names or "" in names:
        raise ValueError(f"{given!r} has an empty name; write none for no faults")
    if len(names) > 1 and (alone := {"none", "all"}.intersection(names)):
        raise ValueError(f"`{min(alone)}` stands alone, and cannot be mixed with other names")
    return names


def _pairs(given: object) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(key): _scalar(value) for key, value in given.items()}
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, (list, tuple)):
        raise ValueError(f"{given!r} is no list of K=V")
    pairs: dict[str, str] = {}
    for part in parts:
        key, equals, value = str(part).partition("=")
        if not key or not equals:
            raise ValueError(f"{part!r} is not of the form K=V")
        pairs[key.strip()] = value.strip()
    return pairs


def _scalar(value: object) -> str:
    """A TOML value as the text that the command line would have given."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            raise ValueError(f"{value!r} must be a text, a number or a truth value")


def _truth(given: object) -> bool:
    match given:
        case bool():
            return given
        case "yes" | "true" | "1":
            return True
        case "no" | "false" | "0":
            return False
        case _:
            raise ValueError(f"{given!r} is neither yes nor no")


def _white_box(given: object) -> bool:
    match given:
        case "all":
            return True
        case "black-box":
            return False
        case _:
            raise ValueError(f"{given!r} is neither `all` nor `black-box`")


def _expectation(given: object) -> Expectation:
    word, colon, signature = _text(given).partition(":")
    expected = {str(validity): validity for validity in Validity if validity is not Validity.HARNESS_ERROR}
    if word not in expected or (colon and (word != Validity.INVALID or not signature)):
        raise ValueError(f"{given!r} is no expectation; write valid, invalid, invalid:SIGNATURE, vacuous or unknown")
    return Expectation(expected[word], signature or None)


# ── how values go back onto a command line ───────────────────────────────────────────────────────────────────────────


def _show_text_or_none(value: object) -> tuple[str, ...]:
    return ("none" if value is None else str(value),)


def _show_names(value: object) -> tuple[str, ...]:
    return (",".join(value),) if isinstance(value, tuple) else ()


def _show_pairs(value: object) -> tuple[str, ...]:
    return tuple(f"{key}={text}" for key, text in value.items()) if isinstance(value, dict) else ()


def _show_number(value: object) -> tuple[str, ...]:
    return (str(int(value)) if isinstance(value, float) and value.is_integer() else str(value),)


def _show_seconds(value: object) -> tuple[str, ...]:
    return (f"{_show_number(value)[0]}s",)


def _show_truth(value: object) -> tuple[str, ...]:
    return ("yes" if value else "no",)


def _show_white_box(value: object) -> tuple[str, ...]:
    return ("all" if value else "black-box",)


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────

_STRING = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 1}

SETTINGS: tuple[Setting, ...] = (
    Setting("env", "NAME", "the world the trial runs in: sim, local or docker", _text, _STRING, "environment"),
    Setting("system", "NAME", "the system under test", _text, _STRING, "system"),
    Setting(
        "system-option",
        "K=V",
        "an option of the system; may be repeated",
        _pairs,
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        "system_options",
        _show_pairs,
        repeated=True,
    ),
    Setting("bug", "NAME", "a planted bug of the system, or none", _text_or_none, _STRING, "bug", _show_text_or_none),
    Setting("nodes", "N", "size of the cluster", _count, _COUNT, "nodes"),
    Setting("workload", "NAME", "what the clients do", _text, _STRING, "workload"),
    Setting(
        "nemesis",
        "NAMES",
        "families or kinds of faults, with commas; none; or all",
        _names,
        {"anyOf": [_STRING, {"type": "array", "items": _STRING, "minItems": 1}]},
        "nemesis",
        _show_names,
    ),
    Setting(
        "time-limit",
        "DURATION",
        "length of the load phase: 60s, 500ms, 2m or plain seconds",
        duration_s,
        {"anyOf": [_STRING, {"type": "number", "exclusiveMinimum": 0}]},
        "time_limit_s",
        _show_seconds,
    ),
    Setting(
        "rate",
        "HZ",
        "operations per second, all clients together; 0: as fast as they can",
        _rate,
        {"type": "number", "minimum": 0},
        "rate_hz",
        _show_number,
    ),
    Setting(
        "concurrency",
        "N",
        "clients: a number, or 2n for two per node",
        _concurrency,
        {"anyOf": [_COUNT, {"type": "string", "pattern": "^[0-9]*n$"}]},
        "concurrency",
    ),
    Setting("event-budget", "N", "simulated events after which a run is a livelock", _count, _COUNT, "event_budget"),
    Setting(
        "checks",
        "WHICH",
        "all, or black-box: judge only by what clients saw",
        _white_box,
        {"enum": ["all", "black-box"]},
        "white_box",
        _show_white_box,
    ),
    Setting(
        "seed", "N", "decides everything random; made up and printed if missing", _seed, {"type": "integer"}, "seed"
    ),
    Setting("plan", "FILE", "carry out this plan of faults in place of a drawn one", _path, _STRING, "plan"),
    Setting(
        "expect",
        "WHAT",
        "exit 0 if the verdict is this: valid, invalid[:signature], vacuous, unknown",
        _expectation,
        _STRING,
    ),
    Setting("store", "DIR", "where run directories go", _path, _STRING, "store"),
    Setting("name", "NAME", "the run's folder in the store", _text, _STRING, "name"),
    Setting(
        "keep",
        "",
        "leave the containers of --env docker as they are at the end",
        _truth,
        {"type": "boolean"},
        "keep",
        _show_truth,
        flag=True,
    ),
)
