"""The pages about the command line say what the program does: tables that could go stale are compared with it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from checker import records
from histrio.cli import commands
from histrio.config import BUILT_IN_PROFILES, CLIENTS_PER_NODE, file_layers, resolve
from histrio.errors import EX_HARNESS, EX_INTERRUPTED, EX_TERMINATED, EX_UNAVAILABLE, EX_USAGE
from histrio.settings import SETTINGS, Setting
from histrio.store import RunDirectory
from histrio.trial import TrialSpec
from nemesis.plan import Fault, Plan
from tests.histrio.cli.worlds import SEVERITIES, START

DOCS = Path(__file__).parents[3] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def between(text: str, begin: str, end: str) -> str:
    return text.split(begin)[1].split("-->\n", 1)[1].split(f"<!-- {end}")[0].strip()


def settings_table() -> str:
    rows = [f"| `{s.name}` | {s.about} | {_default(s)} |" for s in SETTINGS]
    return "\n".join(["| setting | meaning | default |", "|---|---|---|", *rows])


def _default(setting: Setting) -> str:
    if setting.name == "concurrency":
        return f"`{CLIENTS_PER_NODE}n`"
    if setting.field is None or setting.name == "seed":
        return ""
    value = getattr(TrialSpec(), setting.field)
    shown = () if value is None else setting.show(value)
    return f"`{shown[0]}`" if shown else ""


def profiles_table() -> str:
    rows = [
        f"| `{name}` | {', '.join(f'`{key} = {_toml(value)}`' for key, value in values.items())} |"
        for name, values in BUILT_IN_PROFILES.items()
    ]
    return "\n".join(["| profile | settings |", "|---|---|", *rows])


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_the_page_lists_every_setting_with_its_meaning_and_default() -> None:
    assert between(page("configuration.md"), "<!-- settings", "end of settings") == settings_table()


def test_the_page_lists_every_built_in_profile() -> None:
    assert between(page("configuration.md"), "<!-- profiles", "end of profiles") == profiles_table()


def test_the_example_of_a_configuration_can_be_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page("configuration.md"), flags=re.DOTALL)
    file = tmp_path / "histrio.toml"
    file.write_text(example)
    assert tomllib.loads(example)["profile"]["weekly"]
    assert resolve(file_layers(file, "weekly"), seed=1).spec.time_limit_s == 600


def test_the_page_names_every_command_and_no_other() -> None:
    named = re.findall(r"^\| `histrio (\w+)", page("command-line.md"), flags=re.MULTILINE)
    assert list(dict.fromkeys(named)) == list(commands.commands)


def test_the_page_gives_every_exit_code_its_meaning() -> None:
    table = page("command-line.md").split("## Exit codes")[1].split("\n\n")[1]
    codes = {int(code) for row in table.splitlines()[2:] for code in row.split("|")[1].split(",")}
    ours = {EX_USAGE, EX_UNAVAILABLE, EX_HARNESS, EX_INTERRUPTED, EX_TERMINATED}
    assert codes == ours | set(SEVERITIES.values())


# ── the run directory ────────────────────────────────────────────────────────────────────────────────────────────────

DOCUMENTED = [
    *(
        getattr(records, name)
        for name in records.__all__
        if isinstance(getattr(records, name), type) and issubclass(getattr(records, name), msgspec.Struct)
    ),
    *records.TraceEvent.__subclasses__(),
    records.FaultPlanned,
    records.FaultApplied,
    records.FaultObserved,
    records.FaultUndone,
    records.FaultHealed,
    Plan,
    Fault,
]


@pytest.mark.parametrize("record", DOCUMENTED, ids=lambda record: record.__name__)
def test_the_page_documents_every_field_of_every_record(record: type[msgspec.Struct]) -> None:
    """Issue 2: the run directory is the public contract."""
    text = page("run-directory.md")
    fields = [field.encode_name for field in msgspec.structs.fields(record)]
    assert [field for field in fields if f"`{field}`" not in text] == []


def test_the_page_documents_every_word_of_the_closed_vocabularies() -> None:
    text = page("run-directory.md")
    words = [str(word) for word in (*records.LineType, *records.Validity)]
    words += [str(event.__struct_config__.tag) for event in records.TraceEvent.__subclasses__()]
    words += ["completed", "event-budget", "time-budget", "interrupted", "error"]
    assert [word for word in words if f"`{word}`" not in text] == []


def test_the_page_documents_every_file_that_the_store_knows(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "r", started_at=START, seed=1)
    places = [
        directory.run_json,
        directory.plan_json,
        directory.history,
        directory.faults,
        directory.trace,
        directory.verdict_json,
        directory.report_html,
        directory.harness_error,
        directory.nodes,
    ]
    text = page("run-directory.md")
    assert [place.name for place in places if f"\n      {place.name}" not in text] == []
