"""Two tiers: the certificate in commit order, cheap and one-sided, and the search, which decides.

A certificate that holds is a linearization. A certificate that fails, and a sample of those that hold, are put to the
search. If the two contradict each other, one of them is wrong or the system lies about its positions: that is an error
of its own, `tiers-disagree`, and never a silent choice between them.
"""

from __future__ import annotations

from typing import Any

from checker.certificate import check_certificate
from checker.history import History
from checker.linearizability import NAME, check_history
from checker.model import Model
from checker.partition import DEFAULT_BUDGET, Budget
from checker.records import CheckResult, Evidence, Validity

__all__ = ["DISAGREE", "check_in_two_tiers", "compare_tiers"]

DISAGREE = "tiers-disagree"


def check_in_two_tiers(
    history: History, model: Model[Any], *, budget: Budget = DEFAULT_BUDGET, confirm: bool
) -> tuple[CheckResult, ...]:
    """Results called `linearizability` and, where it says something, `certificate`; and `tiers` if they disagree.

    confirm: search also where the certificate holds; callers do that on a sample, drawn from a run's seed. Without it,
    a certificate that holds is the whole proof.
    """
    certificate = check_certificate(history, model)
    if certificate.validity is Validity.VALID and not confirm:
        return _by_certificate(certificate), certificate
    searched = check_history(history, model, budget=budget)
    return compare_tiers(searched, certificate)


def compare_tiers(searched: CheckResult, certificate: CheckResult) -> tuple[CheckResult, ...]:
    """The results of both tiers, and a harness error if both decided and differ.

    A certificate that says nothing is left out. The search decides: where it found an order that a certificate denies,
    the certificate counts as unknown.
    """
    if certificate.validity is Validity.UNKNOWN:
        return (searched,)
    if searched.validity is Validity.UNKNOWN or searched.validity is certificate.validity:
        return searched, certificate
    denied = certificate.validity is Validity.INVALID
    told = certificate.anomaly if denied else "no fault"
    evidence = Evidence(
        summary=(
            f"The search finds the history {searched.validity}, the certificate finds it {certificate.validity} "
            f"({told}): one of them is wrong, or the system reports false positions."
        ),
        details=(searched.evidence.summary, certificate.evidence.summary),
        indexes=certificate.evidence.indexes if denied else searched.evidence.indexes,
    )
    disagreement = CheckResult(
        name="tiers", validity=Validity.HARNESS_ERROR, anomaly=DISAGREE, key=certificate.key, evidence=evidence
    )
    return searched, _set_aside(certificate) if denied else certificate, disagreement


def _set_aside(certificate: CheckResult) -> CheckResult:
    return CheckResult(
        name=certificate.name,
        validity=Validity.UNKNOWN,
        anomaly=certificate.anomaly,
        key=certificate.key,
        evidence=certificate.evidence,
    )


def _by_certificate(certificate: CheckResult) -> CheckResult:
    figures = certificate.evidence.figures | {"phase": "certificate"}
    evidence = Evidence(summary=certificate.evidence.summary, figures=figures)
    return CheckResult(name=NAME, validity=Validity.VALID, evidence=evidence)
