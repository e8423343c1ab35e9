"""Commands on what is already recorded: check, report and replay of run directories, and check of history files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.errors import IllFormedHistory, MalformedInput
from checker.records import Validity
from checker.verdict import compose
from histrio.store import RunDirectory
from histrio.trial import TrialSpec
from tests.histrio.cli.worlds import INVALID, SEVERITIES, START, FakeReplay, World, a_check, record_start


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# ── check, report, replay ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("validity", "code"), SEVERITIES.items())
def test_a_recorded_run_is_judged_again_by_the_rules_of_today(world: World, validity: Validity, code: int) -> None:
    world.run()
    run = world.only_run()
    world.verdict = compose([a_check(validity)])
    assert world.call("check", str(run.path)).code == code
    verdict = run.read_verdict()
    assert verdict is not None
    assert verdict.validity is validity


def test_a_run_of_another_version_is_judged_without_the_command_that_would_plan_it_anew(world: World) -> None:
    """The shape of `spec` in run.json is no public contract."""
    world.run()
    run = world.only_run()
    run.write_run(msgspec.structs.replace(run.read_run(), spec={"options_of_the_future": 1}))
    assert world.call("check", str(run.path), "--json").json["run"] is None
    answer = world.call("check", str(run.path))
    assert (answer.code, "anew" in answer.out) == (0, False)


def a_killed_run(world: World) -> RunDirectory:
    """As kill -9 leaves it in the middle of a line."""
    directory = RunDirectory.create(world.store, "killed", started_at=START, seed=7)
    trial = world.services().plan_trial(TrialSpec(seed=7))
    record_start(trial, directory)
    with directory.history.open("ab") as file:
        file.write(b'{"index":1,"time')
    return directory


@pytest.mark.parametrize("command", ["check", "report"])
def test_a_run_that_was_killed_is_accepted_with_a_warning_for_what_it_lacks(world: World, command: str) -> None:
    """Issue 2, acceptance: a kill -9 mid-run leaves a directory that `check` and `report` accept."""
    directory = a_killed_run(world)
    answer = world.call(command, str(directory.path))
    assert answer.code == 0
    assert "cut off" in answer.err
    assert "history.jsonl:3" in answer.err


def test_a_history_cut_in_the_middle_is_64_with_file_and_line(world: World) -> None:
    """Issue 2, bad input."""
    directory = a_killed_run(world)
    with directory.history.open("ab") as file:
        file.write(b"\n{}\n")
    answer = world.call("check", str(directory.path))
    assert answer.code == 64
    assert f"{directory.history}:3: " in answer.err


def test_a_report_is_written_again_and_its_path_printed(world: World) -> None:
    world.run()
    run = world.only_run()
    run.report_html.unlink()
    answer = world.call("report", str(run.path))
    assert (answer.code, answer.out) == (0, f"{run.report_html}\n")
    assert run.report_html.exists()


def test_what_is_no_run_directory_is_refused_with_what_is_missing(world: World, tmp_path: Path) -> None:
    for command in ("check", "report", "replay"):
        answer = world.call(command, str(tmp_path))
        assert answer.code == 64
        assert "run.json is missing" in answer.err


@pytest.mark.parametrize(("validity", "code"), SEVERITIES.items())
def test_a_replay_that_is_the_same_run_ends_with_the_verdicts_code(world: World, validity: Validity, code: int) -> None:
    world.verdict = compose([a_check(validity)])
    world.run()
    answer = world.call("replay", str(world.only_run().path))
    assert answer.code == code
    assert "identical" in answer.out


@pytest.mark.parametrize("recorded", ["abc", None])
def test_a_replay_that_differs_is_a_harness_error_also_after_a_violation(world: World, recorded: str | None) -> None:
    """Architecture §4: a verdict that does not repeat is no verdict."""
    world.verdict = INVALID
    world.run()
    world.changes["replay"] = lambda directory, store: FakeReplay(recorded, "xyz", store)
    answer = world.call("replay", str(world.only_run().path))
    assert answer.code == 70
    assert "DIFFERENT" in answer.out


def test_a_replay_goes_to_the_same_store_unless_told_otherwise(world: World, tmp_path: Path) -> None:
    world.run()
    run = world.only_run()
    asked: list[tuple[Path, Path]] = []

    def replaying(directory: Path, store: Path) -> FakeReplay:
        asked.append((directory, store))
        return FakeReplay("a", "a", store)

    world.changes["replay"] = replaying
    world.call("replay", str(run.path))
    world.call("replay", str(run.path), "--store", str(tmp_path / "elsewhere"))
    assert asked == [(run.path, world.store), (run.path, tmp_path / "elsewhere")]


# ── check on history files ───────────────────────────────────────────────────────────────────────────────────────────


def some_histories(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "histories"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("")
    return folder


def test_every_history_of_a_folder_gets_a_line_and_other_files_none(world: World, tmp_path: Path) -> None:
    folder = some_histories(tmp_path, "b.log", "a.edn", "c.jsonl", "expected.json", "README.md")
    world.histories = {"a.edn": a_check(Validity.UNKNOWN)}
    answer = world.call("check", str(folder), "--model", "cas-register")
    assert answer.out.splitlines() == ["a.edn: unknown", "b.log: valid", "c.jsonl: valid"]
    assert answer.code == 2


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ({}, 0),
        ({"a.log": a_check(Validity.UNKNOWN)}, 2),
        ({"a.log": a_check(Validity.UNKNOWN), "b.log": a_check(Validity.INVALID)}, 1),
        ({"a.log": MalformedInput("a.log", 3, "cut")}, 64),
        ({"a.log": IllFormedHistory(3, "cut"), "b.log": a_check(Validity.INVALID)}, 1),
        ({"a.log": MalformedInput("a.log", 3, "cut"), "b.log": a_check(Validity.UNKNOWN)}, 64),
    ],
)
def test_a_violation_in_one_file_is_never_masked_by_another(
    world: World, tmp_path: Path, results: dict[str, object], code: int
) -> None:
    world.histories = results  # type: ignore[assignment]
    folder = some_histories(tmp_path, "a.log", "b.log")
    assert world.call("check", str(folder), "--model", "register").code == code
    assert world.call("check", str(folder), "--model", "register", "--json").code == code


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_still_judged(world: World, tmp_path: Path) -> None:
    world.histories = {"a.log": MalformedInput("a.log", 3, "cut")}
    answer = world.call("check", str(some_histories(tmp_path, "a.log", "b.log")), "--model", "register")
    assert "a.log:3: cut" in answer.err
    assert answer.out == "b.log: valid\n"


def test_a_single_history_that_is_invalid_is_explained(world: World, tmp_path: Path) -> None:
    world.histories = {"a.log": a_check(Validity.INVALID)}
    file = some_histories(tmp_path, "a.log") / "a.log"
    answer = world.call("check", str(file), "--model", "register")
    assert answer.code == 1
    assert answer.out.splitlines()[0] == "a.log: invalid"
    assert "n1  |-- write 2 --|" in answer.out


def test_how_a_history_is_to_be_judged_is_passed_on(world: World, tmp_path: Path) -> None:
    file = some_histories(tmp_path, "a.log") / "a.log"
    world.call(
        "check", str(file), "--model", "register", "--initial", "[1]", "--format", "jepsen-log", "--budget", "500"
    )
    (question,) = world.questions
    assert (question.model, question.format, question.budget) == ("register", "jepsen-log", 500)
    assert question.initial is not None
    assert bytes(question.initial) == b"[1]"


def test_a_run_directory_with_a_model_is_judged_as_a_history(world: World) -> None:
    world.run()
    answer = world.call("check", str(world.only_run().path), "--model", "register")
    assert answer.out == "history.jsonl: valid\n"
    assert world.questions[0].whole


def test_only_the_history_of_a_run_that_was_cut_off_may_lack_the_end_of_its_last_line(world: World) -> None:
    world.call("check", str(a_killed_run(world).path), "--model", "register")
    assert not world.questions[0].whole


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "cas-registr"], "did you mean `cas-register`?"),
        (["--model", "register", "--format", "jepsen-lag"], "did you mean `jepsen-log`?"),
        (["--model", "register", "--initial", "{"], "no JSON"),
        (["--model", "register", "--budget", "0"], "--budget"),
        (["--budget", "3"], "--budget has no meaning without --model"),
        ([], "--model is missing"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(world: World, tmp_path: Path, options: list[str], said: str) -> None:
    file = some_histories(tmp_path, "a.log") / "a.log"
    answer = world.call("check", str(file), *options)
    assert answer.code == 64
    assert said in answer.err


def test_a_folder_without_histories_is_refused(world: World, tmp_path: Path) -> None:
    answer = world.call("check", str(some_histories(tmp_path, "README.md")), "--model", "register")
    assert answer.code == 64
    assert ".jsonl" in answer.err
