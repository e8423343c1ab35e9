"""The registry, the table of definite errors and the page made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from raft_trio.messages import Refusal
from workloads.documentation import errors_table, workloads_table
from workloads.errors import DEFINITE_ERRORS, INDEFINITE_ERRORS, UnknownWorkload, outcome_of
from workloads.registry import WORKLOADS, workload_named
from workloads.session import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "workloads.md"


def test_every_workload_stands_under_its_own_name_and_its_functions_are_reads_or_writes() -> None:
    for name, workload in WORKLOADS.items():
        assert workload.name == name
        assert set(workload.functions) == {*workload.reads, *workload.writes}
        assert not set(workload.reads) & set(workload.writes)


def test_a_misspelt_workload_gets_a_suggestion() -> None:
    """Issue #2: `--workload regster` suggests `register`."""
    with pytest.raises(UnknownWorkload, match="register") as caught:
        workload_named("regster")
    assert caught.value.suggestion == "register"


def test_a_name_near_to_nothing_gets_the_list() -> None:
    with pytest.raises(UnknownWorkload, match="known are register") as caught:
        workload_named("zzz")
    assert caught.value.suggestion is None


@pytest.mark.parametrize("error", ["timeout", "connection-lost", "leadership-lost", "something new", ""])
def test_an_error_that_proves_nothing_leaves_the_outcome_open(error: str) -> None:
    """A client that calls a timeout a failure accuses correct systems, or hides lost writes (planted bug K8)."""
    assert outcome_of(error) is Outcome.INFO


@pytest.mark.parametrize("error", [*DEFINITE_ERRORS, "no-leader: n2 is electing"])
def test_a_definite_error_is_a_failure(error: str) -> None:
    assert outcome_of(error) is Outcome.FAIL


def test_no_error_is_both_definite_and_indefinite() -> None:
    assert not set(DEFINITE_ERRORS) & set(INDEFINITE_ERRORS)


def test_every_refusal_of_raft_trio_is_in_the_table() -> None:
    """raft_trio.messages.Refused is definite by its own words."""
    assert {refusal.value for refusal in Refusal} <= set(DEFINITE_ERRORS)


@pytest.mark.parametrize("table", [workloads_table(), errors_table()])
def test_the_page_shows_the_tables_of_the_registries(table: str) -> None:
    assert table in PAGE.read_text(encoding="utf-8")


def test_the_example_of_the_page_runs() -> None:
    example = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    assert set(names) > {"__builtins__"}
