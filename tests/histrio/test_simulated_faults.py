"""Faults of links, clocks and disks on a cluster: each takes effect, is seen to heal, and a correct build survives.

A node that refuses for its disk is no finding (architecture §8: an unplanned exit is invalid; this one is planned).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from checker.faults import FaultStatus
from checker.records import Validity
from histrio.environments.simulated import SIMULATED
from histrio.environments.simulated_faults import MECHANISMS
from histrio.planning import plan_trial
from histrio.trial import TrialSpec
from nemesis.kinds import MECHANISMS as ALL_MECHANISMS
from nemesis.plan import AtTime, Fault
from nemesis.registry import KINDS
from raft_trio.build import BUILD
from raft_trio.storage.records import CODEC
from tests.histrio.running import SHORT, Ran, run, run_trial

FAMILIES = ("net", "clock", "disk", "power-loss")
OFFERED = [kind.name for kind in KINDS.values() if kind.mechanism in MECHANISMS and kind.family in FAMILIES]
REFUSING = ("disk-flip", "disk-misdirect", "disk-full", "disk-error", "disk-read-only")
"""Kinds for which a node of raft_trio ends itself."""


def spec(*kinds: str, seconds: float = 1.5, seed: int = 1) -> TrialSpec:
    return msgspec.structs.replace(SHORT, nodes=5, nemesis=kinds, time_limit_s=seconds, seed=seed)


def test_every_mechanism_is_offered_or_absent_for_a_reason() -> None:
    assert set(SIMULATED.mechanisms) == set(ALL_MECHANISMS)
    absent = {name: reason for name, reason in SIMULATED.mechanisms.items() if reason is not None}
    assert set(absent) == {"resource.cpu", "resource.memory", "resource.files"}
    assert all("simulator has no" in reason for reason in absent.values())


@pytest.mark.parametrize("kind", OFFERED)
def test_a_fault_of_each_kind_takes_effect_heals_and_is_survived(kind: str, tmp_path: Path) -> None:
    ran = run(tmp_path, spec(kind))
    effective = [fault for fault in ran.faults if fault.status is FaultStatus.EFFECTIVE]
    assert effective, [fault.cause for fault in ran.faults]
    assert all(fault.healed_ns is not None for fault in effective)
    wrong = [check for check in ran.verdict.checks if check.validity not in (Validity.VALID, Validity.VACUOUS)]
    assert not wrong
    if kind in REFUSING:
        assert sum(fault.counts["nodes_ended"] for fault in effective) > 0


def test_a_build_that_does_not_look_at_checksums_is_found_by_flipped_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The damage bites: a log that believes every byte is not survived."""

    def blind(data: bytes, before: int) -> int:
        return 0

    monkeypatch.setattr("histrio.systems.raft_trio_modes.BUILD", replace(BUILD, codec=replace(CODEC, checksum=blind)))
    flips = tuple(
        [
            Fault(
                id=f"f{number}",
                kind="disk-flip",
                at=AtTime(300_000_000 * number),
                for_ns=250_000_000,
                target="one",
                params={"bits": "8"},
            )
            for number in range(1, 9)
        ]
    )
    runs = (run_flips(tmp_path, flips, seed) for seed in range(1, 6))
    assert any(ran.verdict.validity is Validity.INVALID for ran in runs)


def run_flips(store: Path, flips: tuple[Fault, ...], seed: int) -> Ran:
    trial = plan_trial(msgspec.structs.replace(spec("disk-flip", seconds=3.0, seed=seed), store=store))
    return run_trial(
        store, msgspec.structs.replace(trial, plan=msgspec.structs.replace(trial.plan, faults=flips, world={}))
    )
