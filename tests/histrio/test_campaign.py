"""Campaigns: what each seed draws, that a row is the run's, and that processes which die are counted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.records import Validity
from histrio.campaign import CampaignSpec, Mix, Row, spec_of_seed
from histrio.campaign_trial import run_trial
from histrio.campaign_workers import RECHECK_EVERY, Workers, run_campaign
from histrio.compiled import MODULES
from tests.histrio.running import SHORT, run

TINY = msgspec.structs.replace(SHORT, nemesis=("kill",), time_limit_s=1.0)


def rows_of(campaign: CampaignSpec, workers: Workers = Workers(1)) -> tuple[list[Row], int, bool]:  # noqa: B008
    rows: list[Row] = []

    def take(row: Row) -> bool:
        rows.append(row)
        return True

    return rows, *run_campaign(campaign, workers, take)


def test_a_seed_draws_the_same_trial_in_every_campaign() -> None:
    """Rows can be had again from their seed."""
    one = CampaignSpec(base=TINY, first=1, last=9, workloads=("register",), durations=(Mix(4, 50), Mix(10, 50)))
    other = msgspec.structs.replace(one, first=5, last=500)
    assert [spec_of_seed(one, seed) for seed in range(5, 9)] == [spec_of_seed(other, seed) for seed in range(5, 9)]


def test_durations_are_drawn_in_the_shares_that_were_asked_for() -> None:
    """Half, two fifths, a tenth of 2,000 seeds, give or take."""
    mixes = (Mix(4, 50), Mix(10, 40), Mix(60, 10))
    campaign = CampaignSpec(base=TINY, first=1, last=2000, durations=mixes)
    drawn = [spec_of_seed(campaign, seed).time_limit_s for seed in range(1, 2001)]
    for mix in mixes:
        assert drawn.count(mix.time_limit_s) / 20 == pytest.approx(mix.percent, abs=4)


def test_a_row_tells_of_the_same_run_that_a_run_directory_records(tmp_path: Path) -> None:
    """The trace hash, which covers every event, and the verdict."""
    row, recorded = run_trial(TINY), run(tmp_path, TINY)
    end = recorded.record.end
    assert end is not None
    assert (row.trace_hash, row.events, row.validity) == (end.trace_hash, end.events, recorded.verdict.validity)
    assert row.operations > 0


def test_a_row_has_what_is_needed_to_see_a_violation(tmp_path: Path) -> None:
    """The planted bug of the demo."""
    spec = msgspec.structs.replace(SHORT, nodes=5, bug="ack_on_append", nemesis=("partition",), time_limit_s=15)
    row = run_trial(spec)
    assert row.validity is Validity.INVALID
    assert row.signature
    assert row.why


def test_every_hundredth_trial_is_run_twice_in_processes_of_different_hashes() -> None:
    """A difference would be a harness error (simulation.md, determinism)."""
    campaign = CampaignSpec(base=TINY, first=RECHECK_EVERY - 1, last=RECHECK_EVERY)
    rows, rechecked, out_of_time = rows_of(campaign)
    assert (rechecked, out_of_time) == (1, False)
    assert sorted(row.seed for row in rows) == [RECHECK_EVERY - 1, RECHECK_EVERY]
    assert all(row.validity is not Validity.HARNESS_ERROR for row in rows)


def test_what_the_harness_does_wrong_in_a_trial_is_a_row_too() -> None:
    """Counted and shown, never lost."""
    rows, _, _ = rows_of(CampaignSpec(base=msgspec.structs.replace(TINY, system="nothing"), first=1, last=2))
    assert [row.validity for row in rows] == [Validity.HARNESS_ERROR] * 2
    assert "there is no system 'nothing'" in rows[0].why


def test_a_process_that_dies_is_a_harness_error_of_its_trial_and_the_campaign_goes_on(tmp_path: Path) -> None:
    """Each trial gets a process, whatever became of the one before."""
    (tmp_path / "histrio").mkdir()
    (tmp_path / "histrio" / "__init__.py").touch()
    (tmp_path / "histrio" / "campaign_worker.py").write_text("raise SystemExit(1)", encoding="utf-8")
    rows, _, _ = rows_of(CampaignSpec(base=TINY, first=1, last=3), Workers(1, tmp_path))
    assert [row.validity for row in rows] == [Validity.HARNESS_ERROR] * 3


def test_nothing_that_the_compiler_would_change_is_compiled() -> None:
    """It drops the arguments of a class line: a struct would lose its tag, and be frozen no more."""
    root = Path(__file__).parents[2]
    for module in MODULES:
        assert "msgspec.Struct" not in (root / module).read_text(encoding="utf-8"), module
