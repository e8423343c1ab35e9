"""What each command asks for, prints and ends with when the work behind it does as it should (architecture.md §5)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.records import RunEnd, Validity
from checker.verdict import compose
from histrio.trial import Trial, TrialSpec
from tests.histrio.cli.worlds import INVALID, SEVERITIES, World, a_check


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# ── run ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("validity", "code"), SEVERITIES.items())
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_run_ends_with_the_code_of_its_verdict(
    world: World, validity: Validity, code: int, options: list[str]
) -> None:
    """Architecture §4."""
    world.verdict = compose([a_check(validity)])
    answer = world.run(*options)
    assert answer.code == code
    assert str(validity) in answer.out.lower()


def test_a_run_says_its_seed_first_and_last_and_how_to_repeat_it_on_one_line(world: World) -> None:
    answer = world.run()
    run = world.only_run()
    assert answer.err.startswith("seed 7  ")
    assert answer.out.splitlines()[-1] == "seed    7"
    assert f"again   histrio replay {run.path}" in answer.out.splitlines()
    assert "anew    histrio run --seed 7" in answer.out.splitlines()
    assert f"report  {run.report_html}" in answer.out.splitlines()


def test_a_run_explains_a_violation_on_stdout(world: World) -> None:
    world.verdict = INVALID
    out = world.run().out
    assert out.startswith("INVALID  linearizability/stale-read  (seed 7)")
    assert "linearizability:\n  n1  |-- write 2 --|" in out
    assert "  valid: liveness\n" in out, "what is in order is named, and does not bury what is not"


def test_a_valid_run_says_what_each_check_saw(world: World) -> None:
    world.verdict = compose([a_check(Validity.VALID), a_check(Validity.VALID, "liveness")])
    out = world.run().out
    assert "the summary of linearizability" in out
    assert "the summary of liveness" in out


def test_long_evidence_is_cut_at_a_screen_and_says_where_the_rest_is(world: World) -> None:
    check = a_check(Validity.INVALID)
    evidence = msgspec.structs.replace(check.evidence, details=tuple(f"line {number}" for number in range(50)))
    world.verdict = compose([msgspec.structs.replace(check, evidence=evidence)])
    out = world.run().out
    assert "line 39\n" in out
    assert "line 40\n" not in out
    assert "… 10 more lines in verdict.json" in out


def test_progress_and_diagnostics_never_mix_with_the_answer(world: World) -> None:
    """Architecture §5: stdout carries what the command was asked for, and nothing else."""
    answer = world.run("--json")
    assert answer.json["validity"] == "valid"
    assert "3 ok 2 fail 1 info | partition-halves" in answer.err


def test_the_json_of_a_run_has_all_that_a_script_needs(world: World) -> None:
    world.verdict = INVALID
    answer = world.run("--json").json
    run = world.only_run()
    assert answer | {"checks": []} == {
        "validity": "invalid",
        "signature": "linearizability/stale-read",
        "exit_code": 1,
        "seed": 7,
        "directory": str(run.path),
        "report": str(run.report_html),
        "replay": f"histrio replay {run.path}",
        "run": "histrio run --seed 7",
        "expected": None,
        "checks": [],
    }
    assert [check["class"] for check in answer["checks"]] == ["stale-read", None]


def test_options_variables_and_the_file_reach_the_trial(world: World, tmp_path: Path) -> None:
    (tmp_path / "histrio.toml").write_text('rate = 50\nworkload = "register"\nnodes = 9\n')
    world.environ = {"HISTRIO_NODES": "3", "HISTRIO_PROFILE": "smoke"}
    answer = world.run(
        "--concurrency", "4n", "--system-option", "a=1", "--system-option", "b=2", "--checks", "black-box"
    )
    (spec,) = world.asked
    assert spec == TrialSpec(
        seed=7,
        nodes=3,
        rate_hz=50.0,
        concurrency=12,
        time_limit_s=10.0,
        system_options={"a": "1", "b": "2"},
        white_box=False,
        store=world.store,
    )
    assert f"configuration: {tmp_path / 'histrio.toml'}" in answer.err


def test_a_named_configuration_takes_the_place_of_the_nearest(world: World, tmp_path: Path) -> None:
    (tmp_path / "histrio.toml").write_text("nodes = 9\n")
    (tmp_path / "other.toml").write_text("nodes = 4\n")
    world.run("--config", str(tmp_path / "other.toml"))
    assert world.asked[0].nodes == 4


def test_a_seed_is_made_up_from_the_clock_and_printed(world: World) -> None:
    answer = world.call("run", "--store", str(world.store))
    (spec,) = world.asked
    assert answer.err.startswith(f"seed {spec.seed}  ")
    assert answer.out.splitlines()[-1] == f"seed    {spec.seed}"
    assert 0 <= spec.seed < 10**9


def test_a_dry_run_prints_the_planned_trial_and_touches_nothing(world: World) -> None:
    answer = world.run("--dry-run", "--nodes", "3")
    assert answer.code == 0
    assert answer.json["nodes"] == ["n1", "n2", "n3"]
    assert answer.json["spec"]["seed"] == 7
    assert not world.store.exists()


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ([], "raft_trio-register"),
        (["--bug", "leader_local_read"], "raft_trio-register-leader_local_read"),
        (["--name", "nightly"], "nightly"),
    ],
)
def test_a_run_is_filed_under_its_name_or_under_what_it_tests(world: World, options: list[str], folder: str) -> None:
    world.run(*options)
    assert world.only_run().path.parent.name == folder


def test_faults_that_were_skipped_are_named(world: World) -> None:
    plan = world.services().plan_trial

    def skipping(spec: TrialSpec) -> Trial:
        trial = plan(spec)
        return Trial(spec=spec, nodes=trial.nodes, plan=trial.plan, skipped={"clock-jump": "no clocks here"})

    world.changes["plan_trial"] = skipping
    assert "skipped: clock-jump: no clocks here" in world.run("--nemesis", "all").err


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("option", "word", "meant"),
    [
        ("--workload", "regster", "register"),
        ("--env", "simm", "sim"),
        ("--system", "raft-trio", "raft_trio"),
        ("--bug", "leader_local_reed", "leader_local_read"),
        ("--nemesis", "partition,kil", "kill"),
        ("--nemesis", "partition-halfs", "partition-halves"),
        ("--nemesis", "noen", "none"),
    ],
)
def test_a_mistyped_name_is_refused_with_the_nearest_one(world: World, option: str, word: str, meant: str) -> None:
    """Issue 2, bad input: `--workload regster` suggests `register`, 64."""
    answer = world.run(option, word)
    assert answer.code == 64
    assert f"did you mean `{meant}`?" in answer.err
    assert not world.store.exists()


def test_a_bug_of_one_system_is_no_bug_of_another(world: World) -> None:
    answer = world.run("--system", "other", "--bug", "leader_local_read")
    assert answer.code == 64
    assert "planted bug of other" in answer.err


@pytest.mark.parametrize("environment", ["local", "docker"])
def test_an_environment_that_is_known_but_cannot_be_used_is_no_usage_error(world: World, environment: str) -> None:
    answer = world.run("--env", environment)
    assert answer.code == 69
    assert "not in this version" in answer.err
    assert "--env sim" in answer.err


@pytest.mark.parametrize(
    "arguments", [[], ["runn"], ["run", "--sed", "1"], ["run", "--seed"], ["report"], ["check", "x", "y"]]
)
def test_a_mistyped_command_line_is_64_and_not_clicks_2(world: World, arguments: list[str]) -> None:
    """2 means unknown here: a CI must not take a typing error for a verdict (style-anchors §5.1)."""
    answer = world.call(*arguments)
    assert answer.code == 64
    assert answer.out == ""
    assert answer.err


def test_an_unknown_key_in_the_configuration_stops_the_run(world: World, tmp_path: Path) -> None:
    """Issue 2, bad input."""
    (tmp_path / "histrio.toml").write_text("worklaod = 'register'\n")
    answer = world.run()
    assert answer.code == 64
    assert "unknown key `worklaod`" in answer.err
    assert "did you mean `workload`?" in answer.err
    assert not world.asked


# ── expectations and the demo ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expect", "found", "code"),
    [
        ("invalid", Validity.INVALID, 0),
        ("invalid:linearizability", Validity.INVALID, 0),
        ("invalid:linearizability/stale-read", Validity.INVALID, 0),
        ("invalid:election-safety", Validity.INVALID, 1),
        ("invalid", Validity.VALID, 1),
        ("invalid", Validity.UNKNOWN, 1),
        ("invalid", Validity.VACUOUS, 1),
        ("invalid", Validity.HARNESS_ERROR, 70),
        ("valid", Validity.VALID, 0),
        ("valid", Validity.INVALID, 1),
        ("valid", Validity.UNKNOWN, 2),
        ("vacuous", Validity.VACUOUS, 0),
        ("vacuous", Validity.VALID, 1),
        ("vacuous", Validity.HARNESS_ERROR, 70),
        ("unknown", Validity.UNKNOWN, 0),
        ("unknown", Validity.VACUOUS, 3),
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_expectation_turns_found_into_0_and_not_found_into_1_and_never_hides_a_harness_error(
    world: World, expect: str, found: Validity, code: int, options: list[str]
) -> None:
    """Architecture §4."""
    world.verdict = compose([a_check(found)])
    answer = world.run("--expect", expect, *options)
    assert answer.code == code
    assert expect in answer.out


def test_the_demo_plants_a_bug_and_is_content_when_it_is_found(world: World) -> None:
    world.verdict = INVALID
    answer = world.call("demo", "--store", str(world.store))
    assert answer.code == 0
    assert world.asked[0].bug == "leader_local_read"
    assert world.asked[0].nodes == 5
    assert "n2          |-- read 1 --|" in answer.out
    assert str(world.only_run().report_html) in answer.out


def test_the_demo_without_a_bug_says_that_nothing_was_found_and_is_not_content(world: World) -> None:
    """Issue 2, acceptance."""
    answer = world.call("demo", "--bug", "none", "--store", str(world.store))
    assert world.asked[0].bug is None
    assert "nothing found" in answer.out
    assert "not as expected" in answer.out
    assert answer.code == 1


def test_the_demo_takes_another_seed_and_no_configuration(world: World, tmp_path: Path) -> None:
    """The same demonstration on every machine, and a real search on every seed."""
    (tmp_path / "histrio.toml").write_text("nodes = 3\nbad-key = 1\n")
    world.environ = {"HISTRIO_NODES": "3"}
    world.call("demo", "--store", str(world.store))
    world.call("demo", "--store", str(world.store), "--seed", "20")
    assert [(spec.nodes, spec.seed) for spec in world.asked] == [(5, 1), (5, 20)]


# ── list and doctor ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_list_names_everything_that_options_take(world: World) -> None:
    out = world.call("list").out
    for name in ("sim", "raft_trio", "register", "partition", "partition-halves", "leader_local_read", "cas-register"):
        assert f" {name} " in out.replace("\n", " \n")
    assert "[not in this version]" in out


def test_list_as_json_has_the_families_with_their_kinds(world: World) -> None:
    catalogue = world.call("list", "--json").json
    assert list(catalogue) == [
        "environments",
        "systems",
        "workloads",
        "nemeses",
        "bugs",
        "models",
        "formats",
        "demo_bug",
    ]
    assert catalogue["nemeses"][0]["kinds"] == [{"name": "partition-halves", "about": "two halves"}]


def test_list_gives_editors_the_schema_of_the_configuration(world: World) -> None:
    assert "time-limit" in world.call("list", "--schema").json["properties"]


def test_doctor_tells_what_this_machine_can_do_and_why_not_the_rest(world: World) -> None:
    answer = world.call("doctor")
    assert answer.code == 0
    rows = {line.split("  ")[0]: line for line in answer.out.splitlines()}
    assert " yes " in rows["--env sim"]
    assert rows["--env docker"].endswith("no   not in this version")
    assert " yes " in rows["packages"]


def test_doctor_as_json_has_the_same_rows(world: World) -> None:
    rows = world.call("doctor", "--json").json
    assert {"python", "trio", "run store", "--env sim"} <= {row["name"] for row in rows}


# ── terminals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_terminal_gets_colour_and_a_live_line_that_is_wiped(world: World) -> None:
    world.is_terminal = True
    world.verdict = INVALID
    answer = world.run()
    assert "\x1b[31m" in answer.out
    assert "\r\x1b[K" in answer.err
    assert answer.err.endswith("\r\x1b[K")


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"NO_COLOR": "1", "CI": "true"}])
def test_no_color_is_honoured(world: World, environ: dict[str, str]) -> None:
    """no-color.org."""
    world.is_terminal, world.environ = True, environ
    assert "\x1b[3" not in world.run().out


@pytest.mark.parametrize("environ", [{"CI": "true"}, {"TERM": "dumb"}])
def test_ci_gets_plain_lines_even_where_it_calls_itself_a_terminal(world: World, environ: dict[str, str]) -> None:
    world.is_terminal, world.environ = True, environ
    assert "\r" not in world.run().err


def test_colour_is_never_in_a_file(world: World) -> None:
    world.verdict = INVALID
    assert "\x1b" not in world.run().out


def test_the_end_mark_that_the_engine_wrote_is_left_alone(world: World) -> None:
    world.run()
    assert world.only_run().read_run().end == RunEnd(time_ns=2 * 10**9, reason="completed", events=10, trace_hash="abc")
