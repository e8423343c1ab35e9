"""What a run is judged by, and the page that says so."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from checker.records import Validity
from checker.trace_rules import TRACE_RULES
from histrio.judge import BLACK_BOX, CHECKS, WHITE_BOX, WORKLOAD_RULES, judge
from tests.histrio.running import SHORT, run
from workloads.registry import WORKLOADS

PAGE = Path(__file__).parent.parent.parent / "docs" / "checks.md"


def names_on_the_page() -> list[str]:
    return re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)


def workloads_on_the_page() -> dict[str, set[str]]:
    """Check -> the workloads that it names, for checks of some workloads only."""
    rows = re.findall(r"^\| `([a-z-]+)` \| ((?:`[a-z-]+`(?:, )?)+):", PAGE.read_text(), re.MULTILINE)
    return {check: set(re.findall(r"`([a-z-]+)`", workloads)) for check, workloads in rows}


def test_the_page_names_every_check_in_the_order_of_the_report(tmp_path: Path) -> None:
    """A check that nobody can look up explains nothing."""
    ran = run(tmp_path, msgspec.structs.replace(SHORT, nemesis=("none",)))  # where the certificate surely speaks
    others = {check for check, workloads in workloads_on_the_page().items() if SHORT.workload not in workloads}
    assert [check.name for check in ran.verdict.checks] == [name for name in names_on_the_page() if name not in others]
    expanded = [rule for name in CHECKS for rule in (TRACE_RULES if name == "trace-rules" else (name,))]
    assert expanded == names_on_the_page()


def test_the_page_says_which_workloads_have_a_check_of_their_own() -> None:
    names = {name for rules in WORKLOAD_RULES.values() for name in rules}
    ruled = {name: {workload for workload, rules in WORKLOAD_RULES.items() if name in rules} for name in names}
    assert workloads_on_the_page() == ruled
    assert set(WORKLOAD_RULES) <= set(WORKLOADS)
    assert names <= set(CHECKS)


def test_every_workload_is_judged_by_a_model_or_by_a_check_of_its_own() -> None:
    assert all(workload.model or WORKLOAD_RULES.get(name) for name, workload in WORKLOADS.items())


def test_black_box_leaves_out_what_the_system_says_of_itself(tmp_path: Path) -> None:
    """Issue #2: planted bugs must be found with the white-box rules off."""
    ran = run(tmp_path, msgspec.structs.replace(SHORT, white_box=False))
    others = {name for rules in WORKLOAD_RULES.values() for name in rules} - set(WORKLOAD_RULES[SHORT.workload])
    assert [check.name for check in ran.verdict.checks] == [name for name in BLACK_BOX if name not in others]
    assert not set(WHITE_BOX) & set(BLACK_BOX)


def test_positions_that_contradict_what_clients_saw_are_a_loud_error(tmp_path: Path) -> None:
    """Issue #4: a disagreement of the two tiers is its own failure."""
    ran = run(tmp_path, msgspec.structs.replace(SHORT, nemesis=("none",)))
    assert ran.check("certificate").validity is Validity.VALID
    place = ran.directory.history
    lines = place.read_text().splitlines(keepends=True)
    told = [number for number, line in enumerate(lines) if '"type":"ok"' in line and '"f":"write"' in line]
    lines[told[5]] = re.sub(r'"position":\[\d+,\d+\]', '"position":[1,1]', lines[told[5]])
    lines[told[6]] = re.sub(r'"position":\[\d+,\d+\]', '"position":[1,1]', lines[told[6]])
    place.write_text("".join(lines))
    verdict = judge(ran.directory.path)
    assert verdict.validity is Validity.HARNESS_ERROR
    assert verdict.signature == "tiers/tiers-disagree"
