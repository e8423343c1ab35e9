"""Two finished reports, written once, that many tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import write_report
from tests.reports.directories import busy_directory, invalid_directory


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid run of 12,000 operations with its report."""
    directory = busy_directory(tmp_path_factory.mktemp("busy"))
    write_report(directory)
    return directory


@pytest.fixture(scope="session")
def invalid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a stale read, with its report."""
    directory = invalid_directory(tmp_path_factory.mktemp("invalid"))
    write_report(directory)
    return directory
