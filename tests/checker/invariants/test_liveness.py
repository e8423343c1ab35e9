"""After healing the system must work again: leader, commits, every member caught up (docs/architecture.md §7)."""

from __future__ import annotations

import pytest

from checker.liveness import check_liveness, check_node_exits
from checker.records import (
    AnyTraceEvent,
    CheckResult,
    Committed,
    Configuration,
    HistoryLine,
    NodeExit,
    Phase,
    TraceLine,
    Validity,
)
from tests.checker.invariants.histories import MS, at, call, fail, history, info, ok
from tests.checker.invariants.traces import applied, became, restored, snapshot, trace

NODES = ("n1", "n2")
PHASES = (
    Phase(name="load", begin_ns=0, end_ns=100 * MS),
    Phase(name="heal", begin_ns=100 * MS, end_ns=200 * MS),
    Phase(name="liveness", begin_ns=200 * MS, end_ns=300 * MS),
)
BEFORE = (call(0, "write", 1, node="n1"), ok(0, "write", 1, position=5))
AFTER = (
    at(210, call(0, "write", 2, node="n1")),
    ok(0, "write", 2, position=6),
    call(1, "read", node="n2"),
    ok(1, "read", 2, position=6),
)


def node(role_now: str, commit: int, applied_to: int | None = None) -> list[AnyTraceEvent]:
    role = became("leader", 1) if role_now == "leader" else became("follower", 1)
    last = [] if applied_to is None else [applied(applied_to, 1)]
    return [restored(), role, Committed(index=commit), *last]


WELL = trace(n1=node("leader", 6, 6), n2=node("follower", 6, 6))


def judged(
    lines: list[HistoryLine], traced: list[TraceLine] | None = WELL, phases: tuple[Phase, ...] = PHASES
) -> CheckResult:
    return check_liveness(lines, traced, phases, NODES)


def anomaly(lines: list[HistoryLine], traced: list[TraceLine] | None = WELL) -> str | None:
    result = judged(lines, traced)
    assert (result.validity is Validity.INVALID) == (result.anomaly is not None)
    return result.anomaly


@pytest.mark.parametrize("traced", [WELL, None, []])
def test_a_system_that_works_again_passes_with_and_without_a_trace(traced: list[TraceLine] | None) -> None:
    result = judged(history(*BEFORE, *AFTER), traced)
    assert result.validity is Validity.VALID
    assert ("judged by clients only" in result.evidence.summary) == (not traced)


def test_who_is_no_member_any_more_need_not_catch_up_or_serve() -> None:
    """Membership changes: the newest configuration says who must."""
    without_n2: AnyTraceEvent = Configuration(index=4, voters=("n1",))
    n1 = [*node("leader", 6, 6), without_n2]
    lines = history(*BEFORE, *AFTER[:2], call(1, "read", node="n2"), fail(1, "read"))
    behind = trace(n1=n1, n2=node("follower", 2, 2))
    assert anomaly(lines, behind) is None
    assert anomaly(lines, trace(n1=node("leader", 6, 6), n2=node("follower", 2, 2))) == "member-behind"


def test_no_leader_at_the_end_is_seen() -> None:
    traced = trace(n1=[*node("leader", 6, 6), became("follower", 2)], n2=node("follower", 6, 6))
    assert anomaly(history(*BEFORE, *AFTER), traced) == "no-leader"


def test_a_leader_that_restarted_leads_no_more() -> None:
    traced = trace(n1=[*node("leader", 6, 6), restored((6, 1)), *node("follower", 6, 6)[1:]], n2=node("follower", 6, 6))
    assert anomaly(history(*BEFORE, *AFTER), traced) == "no-leader"


@pytest.mark.parametrize("end", [fail(0, "write"), info(0, "write"), None])
def test_no_success_after_healing_is_seen(end: HistoryLine | None) -> None:
    lines = [*BEFORE, at(210, call(0, "write", 2, node="n1")), *([] if end is None else [end])]
    assert anomaly(history(*lines), None) == "no-progress-after-healing"


def test_an_operation_of_before_that_ends_in_the_phase_is_no_progress() -> None:
    lines = [*BEFORE, at(150, call(2, "write", 3)), at(205, call(0, "write", 2)), at(210, ok(2, "write", 3))]
    assert anomaly(history(*lines), None) == "no-progress-after-healing"


def test_an_operation_that_ends_after_the_phase_came_too_late() -> None:
    lines = [*BEFORE, at(210, call(0, "write", 2)), at(301, ok(0, "write", 2))]
    assert anomaly(history(*lines), None) == "no-progress-after-healing"


def test_reads_alone_are_no_progress_where_writes_were_asked_for() -> None:
    lines = [*BEFORE, at(210, call(0, "write", 2)), fail(0, "write"), call(1, "read"), ok(1, "read", 1)]
    assert anomaly(history(*lines), None) == "no-progress-after-healing"


def test_reads_alone_are_enough_where_nothing_else_was_asked_for() -> None:
    lines = history(*BEFORE, at(210, call(1, "read")), ok(1, "read", 1))
    assert anomaly(lines, trace(n1=node("leader", 5, 5), n2=node("follower", 5, 5))) is None


def test_a_node_whose_clients_get_nothing_is_seen() -> None:
    lines = [*BEFORE, *AFTER[:2], call(1, "read", node="n2"), fail(1, "read")]
    result = judged(history(*lines))
    assert result.anomaly == "node-not-serving"
    assert "n2" in result.evidence.summary


def test_acknowledged_writes_without_a_new_commit_are_seen() -> None:
    traced = trace(n1=node("leader", 5, 5), n2=node("follower", 5, 5))
    assert anomaly(history(*BEFORE, *AFTER), traced) == "no-commit-after-healing"


@pytest.mark.parametrize(
    ("behind", "what"), [(node("follower", 4, 4), "committed up to 4"), (node("follower", 6, 4), "applied up to 4")]
)
def test_a_member_that_does_not_catch_up_is_seen(behind: list[AnyTraceEvent], what: str) -> None:
    result = judged(history(*BEFORE, *AFTER), trace(n1=node("leader", 6, 6), n2=behind))
    assert result.anomaly == "member-behind"
    assert f"n2 had {what} only; 5 was known before the phase" in result.evidence.summary


def test_a_member_that_left_no_trace_or_restarted_without_applying_is_behind() -> None:
    assert anomaly(history(*BEFORE, *AFTER), trace(n1=node("leader", 6, 6))) == "member-behind"
    restarted = [*node("follower", 6, 6), restored((6, 1)), Committed(index=6)]
    assert anomaly(history(*BEFORE, *AFTER), trace(n1=node("leader", 6, 6), n2=restarted)) == "member-behind"


def test_a_system_that_traces_no_applying_is_judged_by_its_commits() -> None:
    assert anomaly(history(*BEFORE, *AFTER), trace(n1=node("leader", 6), n2=node("follower", 5))) is None


def test_a_member_may_catch_up_by_a_snapshot() -> None:
    by_snapshot = [restored(), became("follower", 1), snapshot(6, 1, installed=True)]
    assert anomaly(history(*BEFORE, *AFTER), trace(n1=node("leader", 6, 6), n2=by_snapshot)) is None


def test_members_need_not_have_what_was_acknowledged_in_the_phase_itself() -> None:
    traced = trace(n1=node("leader", 6, 6), n2=node("follower", 5, 5))
    assert anomaly(history(*BEFORE, *AFTER), traced) is None


def test_all_that_is_missing_is_told_the_gravest_first() -> None:
    traced = trace(n1=node("follower", 3, 3), n2=node("follower", 5, 5))
    result = judged(history(*BEFORE, at(210, call(0, "write", 2, node="n1")), fail(0, "write")), traced)
    assert result.anomaly == "no-leader"
    for what in ("no node was leader", "succeeded after healing", "no commit beyond", "n1 had committed", "on n1"):
        assert what in result.evidence.summary


@pytest.mark.parametrize("phases", [PHASES[:2], (*PHASES[:2], Phase(name="liveness", begin_ns=200 * MS))])
def test_a_run_that_was_cut_off_is_unknown_to_liveness(phases: tuple[Phase, ...]) -> None:
    result = judged(history(*BEFORE, *AFTER), WELL, phases)
    assert (result.validity, result.anomaly) == (Validity.UNKNOWN, "cut-off")


def test_a_phase_in_which_nothing_was_asked_is_vacuous() -> None:
    result = judged(history(*BEFORE))
    assert (result.validity, result.anomaly) == (Validity.VACUOUS, "nothing-asked")


def test_a_node_that_ends_by_itself_is_a_violation() -> None:
    """docs/architecture.md §8: an unplanned node exit is invalid."""
    assert check_node_exits([]).validity is Validity.VALID
    first = NodeExit(node="n2", time_ns=1_500 * MS, reason="AssertionError: term went back")
    result = check_node_exits([first, NodeExit(node="n3", time_ns=2_000 * MS, reason="signal 11")])
    assert (result.validity, result.anomaly, result.key) == (Validity.INVALID, "unplanned-exit", "n2")
    assert result.evidence.summary == "n2 ended by itself at 1.500 s: AssertionError: term went back"
    assert result.evidence.details[1].endswith("n3: signal 11")


def test_a_leader_deposed_in_the_last_moment_of_the_newest_term_is_no_lack_of_a_leader() -> None:
    """Found by a campaign (seed 112672): a stalled link cost the leader its quorum 30 ms before the end."""
    deposed = [*node("leader", 6, 6), became("follower", 1)]
    assert anomaly(history(*BEFORE, *AFTER), trace(n1=deposed, n2=node("follower", 6, 6))) is None
    newer = [*node("follower", 6, 6), became("candidate", 2)]
    assert anomaly(history(*BEFORE, *AFTER), trace(n1=deposed, n2=newer)) == "no-leader"
