"""What `histrio doctor` finds out about a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from histrio.catalogue import Entry
from histrio.doctor import Capability, capabilities_text, probe
from histrio.environments.local import LocalEnvironment
from histrio.errors import EnvironmentUnavailable

ENVIRONMENTS = (Entry(name="sim", about="simulated"), Entry(name="docker", about="", unavailable="no engine"))


def rows(store: Path) -> dict[str, Capability]:
    return {row.name: row for row in probe(ENVIRONMENTS, store=store)}


def test_our_packages_with_their_common_names_all_come_from_one_place(tmp_path: Path) -> None:
    """Style-anchors §3.6: a stranger's `checker` or `reports` may be found first."""
    assert rows(tmp_path)["packages"].available


def test_an_environment_is_available_unless_the_catalogue_says_why_not(tmp_path: Path) -> None:
    found = rows(tmp_path)
    assert found["--env sim"] == Capability(name="--env sim", available=True, detail="simulated")
    assert found["--env docker"] == Capability(name="--env docker", available=False, detail="no engine")


def test_an_environment_that_cannot_run_here_says_why_and_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue knows what this version has; the machine decides the rest."""
    refusal = EnvironmentUnavailable("no namespaces", why="a test", fix="run as root")
    monkeypatch.setattr(LocalEnvironment, "obstacle", property(lambda environment: refusal))
    (row,) = [row for row in probe([Entry(name="local", about="real")], store=tmp_path) if row.name == "--env local"]
    assert row == Capability(name="--env local", available=False, detail="no namespaces: run as root")


def test_a_store_that_does_not_exist_yet_is_judged_by_the_folder_it_would_be_made_in(tmp_path: Path) -> None:
    assert rows(tmp_path / "a" / "b")["run store"].available
    assert not (tmp_path / "a").exists(), "doctor changes nothing"


def test_the_table_has_a_row_for_each_capability() -> None:
    table = capabilities_text(
        [Capability(name="x", available=True, detail="d"), Capability(name="yy", available=False, detail="e")]
    )
    assert table == "x   yes  d\nyy  no   e"
