"""What a campaign is: many seeds of a trial, each a little different, and what is left of each: one row.

Here belong the records and the drawing: from the options of a campaign and a seed to the trial of that seed, so that a
row can be had again from its seed alone. Running is `campaign_trial` (one seed) and `campaign_workers` (all of them),
adding up is `campaign_summary`.
"""

from __future__ import annotations

from random import Random

import msgspec

from checker.records import Validity
from histrio.trial import TrialSpec

__all__ = ["CampaignSpec", "FaultCount", "Mix", "Row", "spec_of_seed"]


class Mix(msgspec.Struct, frozen=True):
    """A length of the load phase, and how many in a hundred trials have it."""

    time_limit_s: float
    percent: int


class CampaignSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What all trials of a campaign have in common, and what each seed draws for itself."""

    base: TrialSpec
    """Everything that is not drawn; its seed means nothing."""
    first: int
    last: int
    """Seeds, both included."""
    workloads: tuple[str, ...] = ("register",)
    """Each seed draws one."""
    durations: tuple[Mix, ...] = ()
    """Each seed draws one; empty: that of `base`. Short runs find as much in the same time and shrink better, but some
    bugs need long ones."""
    small_percent: int = 0
    """So many in a hundred trials have three nodes, three clients and a tenth of the operations."""


class FaultCount(msgspec.Struct, frozen=True):
    """How often a kind of fault ended so in one run."""

    kind: str
    status: str
    count: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one trial left."""

    seed: int
    workload: str
    time_limit_s: float
    nodes: int
    validity: Validity
    signature: str | None = None
    why: str = ""
    """Summaries of the checks that were not valid."""
    violated: tuple[str, ...] = ()
    """Names of the checks that were invalid, in the order of the report."""
    operations: int = 0
    ok: int = 0
    events: int = 0
    simulated_ns: int = 0
    trace_hash: str | None = None
    bites: int = 0
    """Altered copies of the history that the checker refused, of `altered`."""
    altered: int = 0
    faults: tuple[FaultCount, ...] = ()


def spec_of_seed(campaign: CampaignSpec, seed: int) -> TrialSpec:
    """The trial of `seed`: the same whatever other seeds the campaign has."""
    draw = Random(f"{seed}/campaign")
    workload = campaign.workloads[draw.randrange(len(campaign.workloads))]
    time_limit_s = campaign.base.time_limit_s
    mark = draw.randrange(100)
    for mix in campaign.durations:
        if mark < mix.percent:
            time_limit_s = mix.time_limit_s
            break
        mark -= mix.percent
    spec = msgspec.structs.replace(campaign.base, seed=seed, workload=workload, time_limit_s=time_limit_s)
    if draw.randrange(100) < campaign.small_percent:
        return msgspec.structs.replace(spec, nodes=3, concurrency=3, rate_hz=spec.rate_hz / 10)
    return spec
