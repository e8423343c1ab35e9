"""What all tests share: settings of hypothesis and the rule for tests that need something a machine may lack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "histrio",
    derandomize=True,  # the same examples on every machine: a red test is red for everybody
    deadline=None,  # time is never a criterion
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("histrio")

ROOT = Path(__file__).parent.parent


def missing(what: str, reason: str) -> None:
    """Skip the test because `what` is missing, unless HISTRIO_REQUIRE (a comma list) names it: then fail."""
    required = os.environ.get("HISTRIO_REQUIRE", "").split(",")
    if what in required:
        pytest.fail(f"HISTRIO_REQUIRE names {what}, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of histories recorded by others, with their verdicts."""
    place = Path(os.environ.get("HISTRIO_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not place.is_dir():
        missing("shared-data", f"no histories of others at {place}; set HISTRIO_SHARED_DATA")
    return place
