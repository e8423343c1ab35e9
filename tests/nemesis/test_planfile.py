"""plan.json is read strictly: whatever is wrong is named with file and key (architecture.md §8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemesis.errors import MalformedPlan
from nemesis.plan import AtEvent, AtTime, Fault, Plan
from nemesis.planfile import dump_plan, load_plan, parse_plan

PLAN = Plan(
    seed=8,
    nodes=("n1", "n2", "n3"),
    workload="register",
    faults=(
        Fault(id="f1", kind="kill-one", at=AtEvent("voted", nth=3), for_ns=10**6, target="self", resolved=("n2",)),
        Fault(id="f2", kind="partition-one-way", at=AtTime(5), for_ns=9, target=("n1",), params={"direction": "in"}),
    ),
)


def changed(key: str, value: Any) -> str:
    """The plan as text with one place changed, given as faults.0.kind; `...` removes it."""
    content = json.loads(dump_plan(PLAN))
    place, *rest = content, *key.split(".")
    for step in rest[:-1]:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is ...:
        del place[rest[-1]]
    else:
        place[rest[-1]] = value
    return json.dumps(content)


def test_a_plan_survives_the_way_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(dump_plan(PLAN), encoding="utf-8")
    assert load_plan(path) == PLAN


@pytest.mark.parametrize(
    ("key", "value", "where", "problem"),
    [
        ("sed", 1, "", "unknown field `sed`"),
        ("faults.0.knid", "x", "faults[0]", "unknown field `knid`"),
        ("faults.1.at.nss", 1, "faults[1].at", "unknown field `nss`"),
        ("faults.1.for_ns", "long", "faults[1].for_ns", "Expected `int`"),
        ("faults.0.kind", ..., "faults[0]", "missing required field `kind`"),
        ("version", 2, "version", "newer than 1"),
        ("nodes", [], "nodes", "at least one node"),
        ("nodes", ["n1", "n1"], "nodes", "each once"),
        ("faults.1.id", "f1", "faults[1].id", "used twice"),
        ("faults.0.kind", "kill-on", "faults[0].kind", "did you mean kill-one?"),
        ("faults.0.kind", "partition-ring", "faults[0].kind", "at least 4 nodes"),
        ("faults.0.for_ns", 0, "faults[0].for_ns", "more than 0"),
        ("faults.1.at.ns", -1, "faults[1].at.ns", "0 or more"),
        ("faults.0.at.event", "slept", "faults[0].at.event", "no such event 'slept'"),
        ("faults.0.at.where", "n9", "faults[0].at.where", "no such node 'n9'"),
        ("faults.0.at.nth", 0, "faults[0].at.nth", "counts from 1"),
        ("faults.0.at.after_ns", -1, "faults[0].at.after_ns", "0 or more"),
        ("faults.0.target", "leaders", "faults[0].target", "no such target 'leaders'"),
        ("faults.1.target", "self", "faults[1].target", "a clock starts this fault"),
        ("faults.1.target", ["n1", "n7"], "faults[1].target", "no such node 'n7'"),
        ("faults.1.params.direktion", "in", "faults[1].params.direktion", "no parameter"),
        ("faults.1.params.direction", "up", "faults[1].params.direction", "not one of out, in"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(key: str, value: object, where: str, problem: str) -> None:
    with pytest.raises(MalformedPlan) as caught:
        parse_plan(changed(key, value), "p.json")
    assert caught.value.path == "p.json"
    assert caught.value.key == where
    assert problem in str(caught.value)


def test_what_is_no_json_is_an_error_with_the_file() -> None:
    with pytest.raises(MalformedPlan, match=r"p\.json"):
        parse_plan(dump_plan(PLAN)[:-20], "p.json")


def test_a_missing_file_is_an_error_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(MalformedPlan, match=r"absent\.json"):
        load_plan(tmp_path / "absent.json")


def test_a_node_may_be_named_as_target() -> None:
    assert parse_plan(changed("faults.1.target", "n3"), "p.json").faults[1].target == "n3"
