"""The commands and their options. Thin: each reads its options and hands over to the module that does the work.

Not here: the work (`cli_run`, `cli_check`, `doctor`), what the settings are (`settings`), how a call ends when it
breaks off (`cli_main`). Every command gives an exit code; what they mean is in docs/command-line.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from histrio.cli_bugs import bug_scores
from histrio.cli_call import Call
from histrio.cli_campaign import CampaignOptions, campaign, durations, seed_range
from histrio.cli_check import check_histories
from histrio.cli_print import catalogue_text, entries_text, json_text
from histrio.cli_run import check_run, replay, report, run
from histrio.cli_services import HistoryQuestion
from histrio.clocks import seed_at
from histrio.config import (
    Layer,
    Request,
    environment_layer,
    file_layers,
    file_schema,
    find_file,
    option_layer,
    profile_layers,
    resolve,
    unknown_variables,
)
from histrio.doctor import capabilities_text, probe
from histrio.errors import EX_HARNESS, UsageProblem
from histrio.settings import SETTINGS, Setting, duration_s
from histrio.trial import TrialSpec
from histrio.version import VERSION

__all__ = ["commands"]

DEMO: Mapping[str, object] = {
    "nemesis": "partition",
    "time-limit": "15s",
    "seed": 1,
    "expect": "invalid",
}
"""Long enough for a few changes of leader: seeds 1 to 21 all find the bug."""
DEMO_SETTINGS = ("seed", "bug", "store")

Command = TypeVar("Command", bound=Callable[..., Any])


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _settings(settings: Sequence[Setting]) -> Callable[[Command], Command]:
    """One option for each setting. All are texts to click: `Setting.read` is the one reader, whatever the source."""

    def decorate(command: Command) -> Command:
        for setting in reversed(settings):
            name, about = _parameter(setting), setting.about
            if setting.flag:
                option = click.option(setting.option, name, is_flag=True, flag_value="yes", default=None, help=about)
            else:
                option = click.option(
                    setting.option, name, metavar=setting.metavar, multiple=setting.repeated, help=about
                )
            command = option(command)
        return command

    return decorate


def _parameter(setting: Setting) -> str:
    return setting.name.replace("-", "_")


def _given(options: Mapping[str, object]) -> Layer:
    return option_layer({setting.name: options.get(_parameter(setting)) for setting in SETTINGS})


def _set_debug(context: click.Context, parameter: click.Parameter, value: object) -> None:
    call = context.find_object(Call)
    if value and call is not None:
        call.debug = True


_debug = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="show tracebacks of the harness on stderr"
)
_json = click.option("--json", "as_json", is_flag=True, help="answer with one JSON document on stdout")
_directory = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _InOrder(click.Group):
    """Lists commands in the order in which one meets them, not by the alphabet: click's own way to say so."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in order of definition."""
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, message="%(prog)s %(version)s")
def commands() -> None:
    """Break a replicated system on purpose, and decide whether what its clients saw is legal.

    Exit codes: 0 valid, 1 invalid, 2 unknown, 3 vacuous, 64 usage or configuration, 69 environment unavailable,
    70 harness error, 130 and 143 interrupted.
    """


@commands.command("demo", short_help="find a planted bug and explain it")
@_settings([setting for setting in SETTINGS if setting.name in DEMO_SETTINGS])
@_json
@_debug
@click.pass_obj
def _demo(call: Call, /, as_json: bool, **options: object) -> int:
    """Find a planted bug in a simulated cluster of five, and explain it.

    Exits with 0 if it was found and with 1 if not. No configuration file is read.
    """
    built_in = option_layer({**DEMO, "bug": call.services.catalogue().demo_bug})
    request = resolve([_given(options), built_in], seed=0)
    return run(call, request, as_json=as_json, dry_run=False)


@commands.command("run", short_help="carry out one trial")
@_settings(SETTINGS)
@click.option("--profile", metavar="NAME", help="a named set of settings: smoke, ci, nightly or the file's own")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="in place of the nearest histrio.toml")
@click.option("--dry-run", is_flag=True, help="print the planned trial as JSON and run nothing")
@_json
@_debug
@click.pass_obj
def _run(
    call: Call, /, profile: str | None, config: Path | None, dry_run: bool, as_json: bool, **options: object
) -> int:
    """Carry out one trial: start the system, break it, judge what its clients saw, write the report."""
    request = _request(call, _given(options), profile, config)
    return run(call, request, as_json=as_json, dry_run=dry_run)


@commands.command("campaign", short_help="run many seeds")
@_settings([setting for setting in SETTINGS if setting.name not in ("seed", "plan", "name")])
@click.option("--seeds", metavar="A-B", default="1-100", show_default=True, help="first and last seed")
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="processes")
@click.option("--budget", metavar="DURATION", help="wall time after which no more is run")
@click.option("--durations", "mix", metavar="MIX", help="lengths drawn by each seed, such as 4s:50,10s:40,60s:10")
@click.option("--small", metavar="PERCENT", type=click.IntRange(0, 100), default=0, help="trials of three nodes")
@click.option("--until-found", is_flag=True, help="stop at the first violation")
@click.option("--interpreted", is_flag=True, help="do not compile the packages first")
@click.option("--profile", metavar="NAME", help="a named set of settings: smoke, ci, nightly or the file's own")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="in place of the nearest histrio.toml")
@_json
@click.option("--rows", is_flag=True, help="with --json: every trial's row")
@_debug
@click.pass_obj
def _campaign(
    call: Call,
    /,
    seeds: str,
    jobs: int,
    budget: str | None,
    mix: str | None,
    small: int,
    until_found: bool,
    interpreted: bool,
    profile: str | None,
    config: Path | None,
    as_json: bool,
    rows: bool,
    **options: object,
) -> int:
    """Run many seeds in the simulator and print what they come to: verdicts, faults, violations.

    A valid trial leaves one row. Of each violation the first seed is run again with everything recorded, and gets a
    report. --workload takes several names with commas, or all; each seed draws one.
    """
    request = _request(call, _given(options), profile, config)
    wanted = CampaignOptions(
        seeds=seed_range(seeds),
        jobs=jobs,
        budget_s=_duration(budget),
        durations=() if mix is None else durations(mix),
        small_percent=small,
        until_found=until_found,
        interpreted=interpreted,
        rows=rows,
    )
    return campaign(call, request.spec, wanted, expect=request.expect, as_json=as_json)


@commands.command("check", short_help="judge a run or a history again")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", help="judge PATH as history against this model")
@click.option("--initial", metavar="JSON", help="the model's state before the first operation")
@click.option("--format", "file_format", metavar="NAME", help="of the history; recognised if not given")
@click.option("--budget", metavar="N", type=click.IntRange(min=1), help="configurations to explore for each key")
@_json
@_debug
@click.pass_obj
def _check(
    call: Call,
    path: Path,
    model: str | None,
    initial: str | None,
    file_format: str | None,
    budget: int | None,
    as_json: bool,
) -> int:
    """Judge again: a run directory; or, with --model, a history file or a folder of them."""
    if model is not None:
        question = HistoryQuestion(model=model, initial=_json_value(initial), format=file_format, budget=budget)
        return check_histories(call, _history_in(path), question, as_json=as_json)
    given = {"--initial": initial, "--format": file_format, "--budget": budget}
    if spare := [option for option, value in given.items() if value is not None]:
        raise UsageProblem(f"{spare[0]} has no meaning without --model", fix="add --model; histrio list shows them")
    if path.is_file() and path.name != "run.json":
        raise UsageProblem(f"{path} is a file: --model is missing", fix="add --model; histrio list shows them")
    return check_run(call, path, as_json=as_json)


@commands.command("report", short_help="write a run's report again")
@_directory
@_debug
@click.pass_obj
def _report(call: Call, directory: Path) -> int:
    """Write the report of a run directory again, and print where it is."""
    return report(call, directory)


@commands.command("replay", short_help="prove that a recorded run repeats")
@_directory
@click.option("--store", metavar="DIR", type=click.Path(path_type=Path), help="where the replay's directory goes")
@_debug
@click.pass_obj
def _replay(call: Call, directory: Path, store: Path | None) -> int:
    """Run a recorded trial again and prove, by trace hash, that it is the same run."""
    return replay(call, directory, store=store)


@commands.group("bugs", cls=_InOrder, short_help="the planted bugs, and what finds them")
def _bugs() -> None:
    """The planted bugs: histrio run --bug NAME runs a trial with one (docs/bugs.md)."""


@_bugs.command("list", short_help="print the planted bugs")
@_json
@_debug
@click.pass_obj
def _bugs_list(call: Call, as_json: bool) -> int:
    """Print every planted bug: its name, what is different with it, and where it was seen in the field."""
    bugs = call.services.catalogue().bugs
    call.answer(json_text(bugs) if as_json else entries_text(bugs))
    return 0


@_bugs.command("score", short_help="look for planted bugs with their saved plans")
@click.argument("names", metavar="[BUG]...", nargs=-1)
@click.option("--seeds", metavar="A-B", default="1-3", show_default=True, help="first and last seed")
@click.option(
    "--plans",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("tests/regressions"),
    show_default=True,
    help="the saved plans",
)
@_json
@_debug
@click.pass_obj
def _bugs_score(call: Call, names: tuple[str, ...], seeds: str, plans: Path, as_json: bool) -> int:
    """Run each bug, or those named, in the trial that is meant to find it, and the correct build in the same one.

    Exits with 0 if every bug was found by an expected detector and the correct build never failed, else with 1.
    """
    return bug_scores(call, names, seed_range(seeds), plans, as_json=as_json)


@commands.command("list", short_help="print every name that options take")
@click.option("--schema", is_flag=True, help="the JSON Schema of histrio.toml instead")
@_json
@_debug
@click.pass_obj
def _list(call: Call, schema: bool, as_json: bool) -> int:
    """Print every name that options take: environments, systems, workloads, nemeses, bugs, models."""
    if schema:
        call.answer(json_text(file_schema()))
        return 0
    catalogue = call.services.catalogue()
    call.answer(json_text(catalogue) if as_json else catalogue_text(catalogue))
    return 0


@commands.command("doctor", short_help="print what this machine can do")
@_json
@click.option("--clean", is_flag=True, help="Remove what killed runs left: containers, networks, mounts, rules.")
@_debug
@click.pass_obj
def _doctor(call: Call, as_json: bool, clean: bool) -> int:
    """Print what this machine can do. Changes nothing without --clean and exits with 0, with 70 if something stays."""
    if clean:
        return _clean(call)
    capabilities = probe(call.services.catalogue().environments, store=TrialSpec().store)
    call.answer(json_text(capabilities) if as_json else capabilities_text(capabilities))
    return 0


def _clean(call: Call) -> int:
    from histrio.cleaning import remove_leftovers

    removed = remove_leftovers()
    for what, gone in removed:
        call.answer(f"{'removed' if gone else 'could not remove'}  {what}")
    if not removed:
        call.answer("nothing of ours is left on this machine")
    return 0 if all(gone for _, gone in removed) else EX_HARNESS


@commands.group("image", short_help="the image of --env docker")
def _image() -> None:
    """The image that the containers of --env docker run from."""


@_image.command("build", short_help="build it, unless it is there")
@_debug
@click.pass_obj
def _build(call: Call) -> int:
    """Build the image of this checkout, unless one of the same content is there, and print its name.

    Needs no network: where no registry can be reached, its base is made of this machine's Python. HISTRIO_BASE_IMAGE
    names another base.
    """
    call.stage = "building the image"
    call.answer(call.services.build_image(call.say))
    return 0


# ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _request(call: Call, given: Layer, profile: str | None, config: Path | None) -> Request:
    """Merge all sources for `run`, and say on stderr which file was read."""
    environ = call.terminal.environ
    for warning in unknown_variables(environ):
        call.say(f"warning: {warning}")
    profile = profile or environ.get("HISTRIO_PROFILE") or None
    named = config or (Path(environ["HISTRIO_CONFIG"]) if environ.get("HISTRIO_CONFIG") else None)
    file = named or find_file(call.terminal.folder)
    if file is not None:
        call.say(f"configuration: {file}")
    below = profile_layers(profile) if file is None else file_layers(file, profile)
    return resolve([given, environment_layer(environ), *below], seed=seed_at(call.services.now()))


def _duration(text: str | None) -> float | None:
    try:
        return None if text is None else duration_s(text)
    except ValueError as error:
        raise UsageProblem(f"--budget: {error}") from None


def _json_value(text: str | None) -> msgspec.Raw | None:
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise UsageProblem(f"--initial {text}: no JSON: {error}", fix="write null, 0 or '\"text\"'") from None
    return msgspec.Raw(text.encode())


def _history_in(path: Path) -> Path:
    """A run directory's own history, or the path itself."""
    return path / "history.jsonl" if (path / "run.json").is_file() else path
