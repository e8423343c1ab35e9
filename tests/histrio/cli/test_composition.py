"""The real program behind the commands: names are described, histories of others judged, a small run goes through."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from histrio.cli_call import Terminal
from histrio.cli_composition import real_services
from histrio.cli_main import call_command
from histrio.config import command_line
from histrio.store import RunDirectory
from histrio.trial import spec_from_json
from tests.histrio.cli.worlds import Answer


def histrio(folder: Path, *arguments: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    code = call_command(arguments, real_services(), Terminal(out, err, {}, folder))
    return Answer(code, out.getvalue(), err.getvalue())


def test_every_name_that_options_take_is_described() -> None:
    catalogue = real_services().catalogue()
    registries: dict[str, Any] = msgspec.to_builtins(catalogue)
    demo_bug = registries.pop("demo_bug")
    assert demo_bug in [bug["name"] for bug in registries["bugs"]]
    for name, entries in registries.items():
        assert entries, f"the registry of {name} is empty"
        for entry in entries:
            assert entry["about"] or entry["unavailable"], entry["name"]


def test_the_histories_of_others_get_the_verdicts_that_others_gave_them(tmp_path: Path, shared_data: Path) -> None:
    """Issue 2: 52 histories recorded by Jepsen against etcd, in one call."""
    folder = shared_data / "porcupine-etcd"
    expected: dict[str, bool] = json.loads((folder / "expected.json").read_text())
    answer = histrio(tmp_path, "check", str(folder), "--model", "cas-register")
    found = dict(line.split(": ") for line in answer.out.splitlines())
    assert found == {name: "valid" if legal else "invalid" for name, legal in expected.items()}
    assert len(found) == 52
    assert answer.code == 1


def test_the_initial_state_and_the_budget_reach_the_search(tmp_path: Path) -> None:
    history = tmp_path / "h.edn"
    history.write_text(
        "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 3}\n"
    )
    check = ("check", str(history), "--model", "register")
    assert histrio(tmp_path, *check).code == 1
    assert histrio(tmp_path, *check, "--initial", "3").code == 0
    assert histrio(tmp_path, *check, "--format", "jepsen-edn", "--initial", "3").code == 0
    assert histrio(tmp_path, *check, "--format", "jepsen-log").code == 64


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A folder with one small run in its store, and what the command said."""
    folder = tmp_path_factory.mktemp("finished")
    options = ("--nodes", "3", "--time-limit", "3s", "--nemesis", "none", "--seed", "5")
    return folder, histrio(folder, "run", *options, "--store", str(folder / "runs"), "--json")


def test_a_small_run_goes_all_the_way_to_its_report(finished: tuple[Path, Answer]) -> None:
    _, answer = finished
    assert (answer.code, answer.json["validity"]) == (0, "valid"), answer.err
    assert Path(answer.json["report"]).read_text().startswith("<!doctype html>")


def test_a_small_run_is_judged_again_alike_and_replays_bit_for_bit(finished: tuple[Path, Answer]) -> None:
    folder, answer = finished
    path = answer.json["directory"]
    assert histrio(folder, "check", path, "--json").json["checks"] == answer.json["checks"]
    assert histrio(folder, "check", path, "--model", "cas-register").out == "history.jsonl: valid\n"
    replayed = histrio(folder, "replay", path)
    assert replayed.code == 0
    assert "identical" in replayed.out


def test_the_command_that_repeats_a_recorded_run_plans_the_same_faults(finished: tuple[Path, Answer]) -> None:
    folder, answer = finished
    run = RunDirectory.load(Path(answer.json["directory"]))
    words = command_line(spec_from_json(run.read_run().spec)).split()[1:]
    planned = histrio(folder, *words, "--dry-run").json
    assert planned["plan"] == json.loads(run.plan_json.read_text())
