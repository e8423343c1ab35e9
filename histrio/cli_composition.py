"""The composition root of the program: the functions and registries behind the commands.

Each is imported when it is first called, and not before: `histrio --help` must not wait for pandas, matplotlib or trio.
Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from checker.errors import MalformedInput
from checker.records import Verdict
from histrio.bug_score import BugScore, chosen, score_bugs
from histrio.campaign import CampaignSpec, Row
from histrio.catalogue import Catalogue, Entry
from histrio.cli_services import HistoryAnswer, HistoryQuestion, Replayed, Services
from histrio.environments.environment import Progress
from histrio.errors import UsageProblem
from histrio.store import RunDirectory
from histrio.trial import Trial, TrialSpec

__all__ = ["real_services"]


def real_services() -> Services:
    """What `histrio` is when it is called by its name."""
    return Services(
        catalogue=_catalogue,
        plan_trial=_plan_trial,
        execute=_execute,
        judge=_judge,
        write_report=_write_report,
        replay=_replay,
        check_history=_check_history,
        run_campaign=_run_campaign,
        score_bugs=_score_bugs,
        build_image=_build_image,
    )


def _catalogue() -> Catalogue:
    from checker.formats import Format
    from checker.models import ALIASES, MODELS
    from histrio.registries import ENVIRONMENTS, SYSTEMS
    from histrio.systems.raft_trio_bugs import DEMO_BUG
    from nemesis.registry import FAMILIES
    from workloads.registry import WORKLOADS

    return Catalogue(
        environments=tuple(Entry(name=name, about=ENVIRONMENTS_ABOUT[name]) for name in ENVIRONMENTS),
        systems=tuple(Entry(name=name, about=SYSTEMS_ABOUT[name]) for name in SYSTEMS),
        workloads=tuple(Entry(name=name, about=workload.description) for name, workload in WORKLOADS.items()),
        nemeses=tuple(
            Entry(
                name=family.name,
                about=family.description,
                kinds=tuple(Entry(name=kind.name, about=kind.description) for kind in family.kinds),
            )
            for family in FAMILIES.values()
        ),
        bugs=tuple(
            Entry(name=bug.name, about=f"{bug.change} [{bug.reference}]", system=system.name)
            for system in SYSTEMS.values()
            for bug in system.bugs.values()
        ),
        models=(
            *(Entry(name=name, about=MODELS_ABOUT[name]) for name in MODELS),
            *(Entry(name=alias, about=f"the same as {name}") for alias, name in ALIASES.items()),
        ),
        formats=tuple(Entry(name=name, about=FORMATS_ABOUT[name]) for name in get_args(Format)),
        demo_bug=DEMO_BUG,
    )


ENVIRONMENTS_ABOUT = {
    "sim": "nodes, clients, network, disks and clocks simulated in one process; same seed, same bytes",
    "local": "processes of this machine, each in a network namespace of its own",
    "docker": "containers on a private bridge network",
}
SYSTEMS_ABOUT = {
    "raft_trio": "a Raft key-value store on trio",
    "etcd": "etcd 3.4 or newer as installed here, in --env local; proves that any system can be plugged in",
}
FORMATS_ABOUT = {
    "histrio/history": "the history.jsonl of a run directory",
    "jepsen-log": "Jepsen's log text",
    "jepsen-edn": "Jepsen's history.edn",
    "porcupine-kv": "Porcupine's key-value text; keys start as the empty text",
}
MODELS_ABOUT = {
    "register": "per key: read and write",
    "cas-register": "per key: read, write and compare-and-set",
    "versioned-register": "per key: a register whose changes are counted",
    "multi-register": "per key: registers that are read and written together, in transactions",
    "key-value": "per key: get, put, append, compare-and-set and delete",
    "list-append": "per key: a list that is appended to and read whole",
    "set": "per key: elements that are added, removed and looked for",
    "counter": "per key: a number that is added to and read",
    "fifo-queue": "per key: first in, first out",
    "stack": "per key: last in, first out",
    "priority-queue": "per key: the smallest priority first; among equal ones any",
    "mutex": "per key: a lock that one owner can hold",
    "fenced-mutex": "per key: a lock whose holders get ascending tokens",
    "leased-lock": "per key: a lock with leases and fencing tokens, and the list it protects",
    "bank": "per key: accounts between which money moves",
}
"""What each model says of itself, without importing it."""


def _plan_trial(spec: TrialSpec) -> Trial:
    from histrio.planning import plan_trial

    return plan_trial(spec)


def _execute(trial: Trial, directory: RunDirectory, on_progress: Callable[[Progress], None]) -> None:
    from histrio.run import execute

    execute(trial, directory, on_progress=on_progress)


def _judge(directory: Path) -> Verdict:
    from histrio.judge import judge

    return judge(directory)


def _write_report(directory: Path) -> Path:
    from reports import write_report

    return write_report(directory)


def _replay(directory: Path, store: Path) -> Replayed:
    from histrio.replaying import replay

    return replay(directory, store)


def _run_campaign(
    campaign: CampaignSpec,
    jobs: int,
    interpreted: bool,
    budget_s: float | None,
    on_row: Callable[[Row], bool],
    say: Callable[[str], None],
) -> tuple[int, bool]:
    from histrio.campaign_workers import Workers, run_campaign
    from histrio.compiled import compiled_packages, obstacle

    packages = None
    missing = None if interpreted else obstacle()
    if interpreted or missing is not None:
        say("trials run interpreted" + (f": {missing}" if missing else ""))
    else:
        say("compiling the packages, unless it was done before")
        packages = compiled_packages()
    return run_campaign(campaign, Workers(jobs, packages), on_row, budget_s=budget_s)


def _score_bugs(names: tuple[str, ...], seeds: Sequence[int], plans: Path) -> Iterable[BugScore]:
    from histrio.campaign_trial import run_trial
    from histrio.systems.raft_trio import RAFT_TRIO

    return score_bugs(chosen(RAFT_TRIO.bugs, names), seeds, plans, run_trial)


def _build_image(say: Callable[[str], None]) -> str:
    from histrio.environments.container_image import build_image, connect

    client = connect()
    try:
        image = build_image(client, say)
    finally:
        client.close()
    say(
        "built" if image.built else "it was there already, with this content",
    )
    return f"{image.tag}  on {image.base}"


def _check_history(path: Path, question: HistoryQuestion) -> HistoryAnswer:
    from checker.errors import IllFormedHistory, NoSuchState
    from checker.formats import implied_start, load_history, locate
    from checker.linearizability import check_history
    from checker.models import ALIASES, MODELS

    loaded = load_history(path, complete=question.whole)
    from checker.partition import DEFAULT_BUDGET, Budget

    if question.format not in (None, loaded.format):
        raise MalformedInput(path, None, f"this is {loaded.format}, not {question.format}", fix="leave out --format")
    model = MODELS[ALIASES.get(question.model, question.model)]
    try:
        if question.initial is None:
            model = implied_start(loaded, model)
        else:
            model = model.starting_at(msgspec.json.decode(question.initial))
    except NoSuchState as error:
        raise UsageProblem(f"--initial: {error}", fix="docs/checker.md lists what each model starts with") from None
    budget = DEFAULT_BUDGET if question.budget is None else Budget(question.budget)
    try:
        result = check_history(loaded.history, model, budget=budget)
    except IllFormedHistory as error:
        raise locate(path, loaded, error) from error
    return HistoryAnswer(result=result, warnings=loaded.warnings)
