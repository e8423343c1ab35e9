"""plan.json: reading it strictly and writing it readably.

A plan is edited by hand and kept for years as a regression, so a misspelt key is an error with file and key, never a
default. Here belongs the file; what a plan means is `nemesis.plan`.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from nemesis.errors import MalformedPlan, UnknownNemesis
from nemesis.kinds import EVENTS, TARGETS, Kind
from nemesis.plan import AtEvent, AtTime, Fault, Plan
from nemesis.registry import kind_named

__all__ = ["PLAN_VERSION", "dump_plan", "load_plan", "parse_plan"]

PLAN_VERSION = 1


def dump_plan(plan: Plan) -> str:
    """The plan as indented JSON with a final newline; equal plans give equal text."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode() + "\n"


def load_plan(path: Path) -> Plan:
    """The plan in a file. Raises MalformedPlan, which names file and key."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MalformedPlan(str(path), "", f"cannot be read: {error.strerror}") from None
    return parse_plan(content, str(path))


def parse_plan(content: bytes | str, path: str) -> Plan:
    """The plan in `content`, which came from `path`. Raises MalformedPlan."""
    try:
        plan = msgspec.json.decode(content, type=Plan)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        problem, key = _located(str(error))
        raise MalformedPlan(path, key, problem) from None
    _check_plan(plan, path)
    for index, fault in enumerate(plan.faults):
        _check_fault(fault, plan, path, f"faults[{index}]")
    return plan


def _located(message: str) -> tuple[str, str]:
    """msgspec's message in its two parts: what is wrong, and where."""
    match = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", message, re.DOTALL)
    assert match is not None
    return match[1], match[2] or ""


def _check_plan(plan: Plan, path: str) -> None:
    if plan.version > PLAN_VERSION:
        raise MalformedPlan(
            path, "version", f"version {plan.version} is newer than {PLAN_VERSION}", fix="update histrio"
        )
    if not plan.nodes or len(frozenset(plan.nodes)) != len(plan.nodes):
        raise MalformedPlan(path, "nodes", "must name at least one node, and each once")
    ids = [fault.id for fault in plan.faults]
    for index, fault_id in enumerate(ids):
        if fault_id in ids[:index]:
            raise MalformedPlan(path, f"faults[{index}].id", f"{fault_id!r} is used twice; ids are unique")


def _check_fault(fault: Fault, plan: Plan, path: str, key: str) -> None:
    try:
        kind = kind_named(fault.kind)
    except UnknownNemesis as error:
        raise MalformedPlan(path, f"{key}.kind", str(error)) from None
    if fault.for_ns <= 0:
        raise MalformedPlan(path, f"{key}.for_ns", "must be more than 0")
    if len(plan.nodes) < kind.nodes_min:
        raise MalformedPlan(path, f"{key}.kind", f"{kind.name} needs at least {kind.nodes_min} nodes")
    _check_start(fault, plan, path, key)
    _check_target(fault, plan, path, f"{key}.target")
    _check_params(fault, kind, path, f"{key}.params")


def _check_start(fault: Fault, plan: Plan, path: str, key: str) -> None:
    match fault.at:
        case AtTime(ns=ns) if ns < 0:
            raise MalformedPlan(path, f"{key}.at.ns", "must be 0 or more")
        case AtEvent(event=event) if event not in EVENTS:
            raise MalformedPlan(path, f"{key}.at.event", f"no such event {event!r}", fix=f"known: {', '.join(EVENTS)}")
        case AtEvent(where=where) if where is not None and where not in plan.nodes:
            raise MalformedPlan(path, f"{key}.at.where", f"no such node {where!r}", fix=f"nodes: {plan.nodes}")
        case AtEvent(nth=nth) if nth < 1:
            raise MalformedPlan(path, f"{key}.at.nth", "counts from 1")
        case AtEvent(after_ns=int(after_ns)) if after_ns < 0:
            raise MalformedPlan(path, f"{key}.at.after_ns", "must be 0 or more")
        case _:
            pass


def _check_target(fault: Fault, plan: Plan, path: str, key: str) -> None:
    match fault.target:
        case None:
            pass
        case "self" if not isinstance(fault.at, AtEvent):
            raise MalformedPlan(path, key, "self is the node that reported an event, but a clock starts this fault")
        case str() as name if name not in TARGETS and name not in plan.nodes:
            raise MalformedPlan(path, key, f"no such target {name!r}", fix=f"known: {', '.join(TARGETS)}, or nodes")
        case tuple() as names:
            for name in names:
                if name not in plan.nodes:
                    raise MalformedPlan(path, key, f"no such node {name!r}", fix=f"nodes: {', '.join(plan.nodes)}")
        case _:
            pass


def _check_params(fault: Fault, kind: Kind, path: str, key: str) -> None:
    known = {parameter.name: parameter for parameter in kind.parameters}
    for name, value in fault.params.items():
        if name not in known:
            listed = ", ".join(known) or "none"
            raise MalformedPlan(path, f"{key}.{name}", f"{kind.name} has no parameter {name!r}", fix=f"known: {listed}")
        if value not in known[name].choices:
            listed = ", ".join(known[name].choices)
            raise MalformedPlan(path, f"{key}.{name}", f"{value!r} is not one of {listed}")
