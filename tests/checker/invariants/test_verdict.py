"""From checks to a verdict and an exit code (docs/architecture.md: validities, signatures, exit codes)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.records import CheckResult, Evidence, Validity
from checker.verdict import compose, exit_code, guarded, guarded_all, signature_of


def check(validity: Validity, name: str = "some", anomaly: str | None = None, **figures: Any) -> CheckResult:
    return CheckResult(
        name=name, validity=validity, anomaly=anomaly, evidence=Evidence(summary="because", figures=figures)
    )


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.sampled_from(list(Validity)), min_size=1, max_size=5))
def test_a_verdict_is_as_severe_as_its_worst_check(validities: list[Validity]) -> None:
    verdict = compose([check(validity) for validity in validities])
    order = [Validity.INVALID, Validity.HARNESS_ERROR, Validity.VACUOUS, Validity.UNKNOWN, Validity.VALID]
    assert verdict.validity is next(validity for validity in order if validity in validities)
    assert [one.validity for one in verdict.checks] == validities


def test_a_violation_is_never_masked() -> None:
    for order in permutations(Validity):
        assert compose([check(validity) for validity in order]).validity is Validity.INVALID


def test_a_valid_verdict_has_no_signature() -> None:
    assert compose([check(Validity.VALID, role="leader")]).signature is None


def test_a_run_that_nothing_judged_is_vacuous() -> None:
    verdict = compose([])
    assert (verdict.validity, verdict.signature, verdict.checks) == (Validity.VACUOUS, "no-checks", ())


def test_of_equally_severe_checks_the_first_names_the_signature() -> None:
    checks = [check(Validity.VALID, "c"), check(Validity.INVALID, "b", "x"), check(Validity.INVALID, "a", "y")]
    assert compose(checks).signature == "b/x"


@pytest.mark.parametrize(
    ("figures", "signature"),
    [
        ({"kinds": ["write", "read", "write"]}, "rule/anomaly/read+write"),
        ({"kinds": ("cas",), "role": "leader"}, "rule/anomaly/cas"),
        ({"kinds": [], "operations": 2431}, "rule/anomaly"),
        ({"role": "leader", "node": "n3", "term": 7}, "rule/anomaly/leader"),
        ({"role": None}, "rule/anomaly"),
        ({}, "rule/anomaly"),
    ],
)
def test_a_signature_has_check_class_and_kinds_or_role_and_nothing_that_changes_with_the_seed(
    figures: dict[str, Any], signature: str
) -> None:
    assert signature_of(check(Validity.INVALID, "rule", "anomaly", **figures)) == signature


def test_a_signature_without_a_class_is_the_check_s_name() -> None:
    assert signature_of(check(Validity.UNKNOWN, "linearizability")) == "linearizability"


def test_exit_codes_are_those_of_the_architecture() -> None:
    assert {validity: exit_code(validity) for validity in Validity} == {
        Validity.VALID: 0,
        Validity.INVALID: 1,
        Validity.UNKNOWN: 2,
        Validity.VACUOUS: 3,
        Validity.HARNESS_ERROR: 70,
    }


def broken() -> CheckResult:
    raise ZeroDivisionError("seven by nothing")


def test_an_exception_inside_a_check_is_a_harness_error_and_never_a_verdict_about_the_system() -> None:
    result = guarded("liveness", broken)
    assert (result.name, result.validity, result.anomaly) == ("liveness", Validity.HARNESS_ERROR, "checker-crashed")
    assert result.evidence.figures == {"error": "ZeroDivisionError", "message": "seven by nothing"}
    assert "ZeroDivisionError: seven by nothing" in result.evidence.details[-1]
    assert any("in broken" in line for line in result.evidence.details)
    assert exit_code(compose([check(Validity.VALID), result]).validity) == 70


def test_a_guard_leaves_results_and_interruptions_alone() -> None:
    result = check(Validity.INVALID)
    assert guarded("some", lambda: result) is result

    def interrupted() -> CheckResult:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded("some", interrupted)


def test_a_guard_around_several_checks_gives_one_harness_error_or_all_results() -> None:
    two = [check(Validity.VALID, "a"), check(Validity.INVALID, "b")]
    assert guarded_all("trace", lambda: two) == tuple(two)
    (result,) = guarded_all("trace", lambda: [broken()])
    assert (result.name, result.validity) == ("trace", Validity.HARNESS_ERROR)
