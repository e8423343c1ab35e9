"""The kill matrix: what finds each planted bug, in the trial that is meant to find it, over some seeds.

Here belong the records, their table, and the loop over bugs and seeds; what a trial does, the caller says. The correct
build runs in the same trials: a detector that also accuses it finds nothing (architecture, section 7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from checker.records import Validity
from histrio.campaign import Row
from histrio.errors import UsageProblem
from histrio.systems.system import Bug, Hunt
from histrio.trial import TrialSpec

__all__ = ["BugScore", "chosen", "score_bugs", "score_text", "spec_of_hunt"]

RunTrial = Callable[[TrialSpec], Row]


class BugScore(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one bug."""

    name: str
    expected: tuple[str, ...]
    """Its expected detectors."""
    seeds: int
    """How many were tried."""
    found: int
    """In how many of them an expected detector saw it."""
    first: int | None
    """The first seed in which one did."""
    detectors: dict[str, int]
    """Every check that was violated -> in how many seeds."""
    accused: tuple[int, ...]
    """Seeds in which the correct build was called invalid in the same trial."""

    @property
    def passed(self) -> bool:
        """Found at least once, and the correct build never accused."""
        return self.found > 0 and not self.accused


def spec_of_hunt(hunt: Hunt, plans: Path, *, seed: int, bug: str | None, environment: str = "sim") -> TrialSpec:
    """The trial in which a bug shows itself; `bug` None: the correct build in it. Raises UsageProblem."""
    plan = plans / f"{hunt.plan}.plan.json" if hunt.plan else None
    if plan is not None and not plan.is_file():
        raise UsageProblem(
            f"there is no {plan}",
            why="planted bugs are looked for with the saved plans of the repository",
            fix="run from a checkout, or say where its tests/regressions is: --plans DIR",
        )
    return TrialSpec(
        environment=environment,
        seed=seed,
        bug=bug,
        nodes=hunt.nodes,
        workload=hunt.workload,
        system_options=dict(hunt.options),
        plan=plan,
        time_limit_s=hunt.time_limit_s,
        rate_hz=hunt.rate_hz,
        concurrency=hunt.concurrency,
    )


def score_bugs(bugs: Iterable[Bug], seeds: Sequence[int], plans: Path, run: RunTrial) -> Iterable[BugScore]:
    """One score after the other. The correct build runs once for each trial and seed, however many bugs share it."""
    accused: dict[str, tuple[int, ...]] = {}
    for bug in bugs:
        correct = [spec_of_hunt(bug.hunt, plans, seed=seed, bug=None) for seed in seeds]
        trial = str(msgspec.structs.replace(correct[0], seed=0))
        if trial not in accused:
            accused[trial] = tuple(spec.seed for spec in correct if run(spec).validity is Validity.INVALID)
        rows = [run(msgspec.structs.replace(spec, bug=bug.name)) for spec in correct]
        yield _scored(bug, rows, accused[trial])


def _scored(bug: Bug, rows: Sequence[Row], accused: tuple[int, ...]) -> BugScore:
    seen = [row.seed for row in rows if set(row.violated) & set(bug.detectors)]
    names = list(dict.fromkeys(name for row in rows for name in row.violated))
    return BugScore(
        name=bug.name,
        expected=bug.detectors,
        seeds=len(rows),
        found=len(seen),
        first=seen[0] if seen else None,
        detectors={name: sum(name in row.violated for row in rows) for name in names},
        accused=accused,
    )


def score_text(scores: Sequence[BugScore]) -> str:
    """A line for each bug, then what is wrong, if anything is."""
    width = max((len(score.name) for score in scores), default=0)
    lines = [f"{'bug':<{width}}  found      by"]
    for score in scores:
        by = ", ".join(_detector(name, count, score) for name, count in score.detectors.items()) or "nothing"
        lines.append(f"{score.name:<{width}}  {f'{score.found} of {score.seeds}':<9}  {by}")
    lines += ["", f"{sum(score.passed for score in scores)} of {len(scores)} bugs found by an expected detector (*)"]
    lines += [f"not found: {score.name}" for score in scores if not score.found]
    lines += [f"the correct build fails too: {score.name}, seeds {score.accused}" for score in scores if score.accused]
    return "\n".join(lines)


def _detector(name: str, count: int, score: BugScore) -> str:
    share = "" if count == score.seeds else f" ({count})"
    return f"{name}{'*' if name in score.expected else ''}{share}"


def chosen(bugs: Mapping[str, Bug], names: Sequence[str]) -> tuple[Bug, ...]:
    """Those named, or all. Raises UsageProblem."""
    unknown = [name for name in names if name not in bugs]
    if unknown:
        raise UsageProblem(f"there is no planted bug {unknown[0]}", fix="all of them: histrio bugs list")
    return tuple(bugs[name] for name in names) or tuple(bugs.values())
