"""Settings: one reader for every source, one order of precedence, and no key that silently changes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.records import Validity
from histrio.config import (
    BUILT_IN_PROFILES,
    Layer,
    command_line,
    environment_layer,
    file_layers,
    file_schema,
    find_file,
    option_layer,
    profile_layers,
    resolve,
    suggestion,
    unknown_variables,
)
from histrio.errors import UsageProblem
from histrio.settings import SETTINGS, Expectation
from histrio.trial import TrialSpec


def spec_of(*layers: Layer) -> TrialSpec:
    return resolve(layers, seed=99).spec


def spec_of_options(options: Mapping[str, object]) -> TrialSpec:
    return spec_of(option_layer(options))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60.0), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600.0), ("7", 7.0), ("1.5s", 1.5), (" 3 s ", 3.0)],
)
def test_a_duration_is_written_with_a_unit_or_in_plain_seconds(text: str, seconds: float) -> None:
    assert spec_of_options({"time-limit": text}).time_limit_s == seconds


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("time-limit", "5x"),
        ("time-limit", "0s"),
        ("time-limit", "-1s"),
        ("time-limit", ""),
        ("rate", "fast"),
        ("rate", "-1"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("nodes", "0"),
        ("nodes", "2.5"),
        ("concurrency", "0n"),
        ("concurrency", "n2"),
        ("seed", "-1"),
        ("seed", "1e3"),
        ("nemesis", "partition,,kill"),
        ("nemesis", "none,kill"),
        ("system-option", ["profile"]),
        ("checks", "most"),
        ("expect", "harness error"),
        ("expect", "valid:x"),
        ("expect", "invalid:"),
        ("name", ""),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_by_its_option_and_with_the_remedy(name: str, text: object) -> None:
    with pytest.raises(UsageProblem) as caught:
        spec_of_options({name: text})
    assert caught.value.what.startswith(f"--{name}: ")
    assert caught.value.fix


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("name", ["nodes", "seed", "rate", "time-limit", "concurrency", "nemesis", "env"])
def test_a_truth_value_of_toml_is_no_number_and_no_name(name: str, flag: bool) -> None:
    """In Python True is 1: `nodes = true` must not be a cluster of one."""
    with pytest.raises(UsageProblem):
        spec_of_options({name: flag})


def test_clients_may_be_counted_per_node() -> None:
    assert spec_of_options({"nodes": "7", "concurrency": "3n"}).concurrency == 21
    assert spec_of_options({"nodes": "7", "concurrency": "n"}).concurrency == 7
    assert spec_of_options({"nodes": "7", "concurrency": "4"}).concurrency == 4


def test_without_a_word_there_are_two_clients_per_node() -> None:
    assert spec_of_options({}).concurrency == TrialSpec().concurrency == 10
    assert spec_of_options({"nodes": 3}).concurrency == 6


def test_the_bug_none_is_the_correct_build() -> None:
    file = option_layer({"bug": "vote_not_persisted"})
    assert spec_of(option_layer({"bug": "none"}), file).bug is None


def test_an_expected_violation_may_name_the_beginning_of_its_signature() -> None:
    request = resolve([option_layer({"expect": "invalid:linearizability/stale"})], seed=1)
    assert request.expect == Expectation(Validity.INVALID, "linearizability/stale")
    assert str(request.expect) == "invalid:linearizability/stale"


def test_system_options_are_pairs_from_any_source() -> None:
    wanted = {"profile": "plain", "pre-vote": "false", "batch": "8"}
    assert spec_of_options({"system-option": ["profile=plain", "pre-vote=false", "batch=8"]}).system_options == wanted
    assert spec_of_options({"system-option": "profile=plain,pre-vote=false,batch=8"}).system_options == wanted
    table = {"profile": "plain", "pre-vote": False, "batch": 8}
    assert spec_of_options({"system-option": table}).system_options == wanted


# ── precedence ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_option_goes_before_a_variable_before_a_profile_before_the_file_before_the_default(tmp_path: Path) -> None:
    """Architecture §5; style-anchors §5.1. One source is taken away at a time, and the next one speaks."""
    file = write(tmp_path / "histrio.toml", "rate = 1\n[profile.ci]\nrate = 2\n")
    option, variable = option_layer({"rate": "4"}), environment_layer({"HISTRIO_RATE": "3"})
    with_profile, without = file_layers(file, "ci"), file_layers(file, None)
    assert spec_of(option, variable, *with_profile).rate_hz == 4
    assert spec_of(variable, *with_profile).rate_hz == 3
    assert spec_of(*with_profile).rate_hz == 2
    assert spec_of(*without).rate_hz == 1
    assert spec_of().rate_hz == TrialSpec().rate_hz


def test_a_built_in_profile_goes_before_the_rest_of_the_file_and_behind_the_files_own_of_that_name(
    tmp_path: Path,
) -> None:
    file = write(tmp_path / "histrio.toml", 'time-limit = "5m"\nnodes = 9\n[profile.smoke]\nnodes = 4\n')
    spec = spec_of(*file_layers(file, "smoke"))
    assert spec.time_limit_s == 10, "the built-in profile says so, and the user asked for it"
    assert spec.nodes == 4, "the file's own smoke is laid over it"


def test_the_seed_made_up_by_the_caller_is_the_last_resort() -> None:
    assert spec_of().seed == 99
    assert spec_of_options({"seed": "0"}).seed == 0


def test_an_empty_variable_is_not_set() -> None:
    assert environment_layer({"HISTRIO_NODES": ""}).values == {}


def test_a_variable_that_looks_like_ours_and_is_none_is_warned_about() -> None:
    warnings = unknown_variables({"HISTRIO_TIEM_LIMIT": "1s", "HISTRIO_REQUIRE": "x", "HISTRIO_SEED": "1", "PATH": "/"})
    assert warnings == ["HISTRIO_TIEM_LIMIT is not read: did you mean `HISTRIO_TIME_LIMIT`?"]


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("tiem-limit = 3\n", "tiem-limit", "time-limit"),
        ("time_limit = 3\n", "time_limit", "time-limit"),
        ("[profile.ci]\nnoeds = 3\n", "profile.ci.noeds", "nodes"),
    ],
)
def test_an_unknown_key_is_refused_with_file_key_and_suggestion(
    tmp_path: Path, text: str, key: str, meant: str
) -> None:
    """Issue 2, bad input. Also in a profile that was not chosen."""
    file = write(tmp_path / "histrio.toml", text)
    with pytest.raises(UsageProblem) as caught:
        file_layers(file, None)
    assert caught.value.what == f"{file}: unknown key `{key}`"
    assert caught.value.fix == f"did you mean `{meant}`?"


def test_a_bad_value_in_the_file_is_named_by_file_and_key(tmp_path: Path) -> None:
    file = write(tmp_path / "histrio.toml", "[profile.ci]\nrate = 'fast'\n")
    with pytest.raises(UsageProblem) as caught:
        spec_of(*file_layers(file, "ci"))
    assert caught.value.what.startswith(f"{file}: profile.ci.rate: ")


@pytest.mark.parametrize("text", ["rate = \n", "profile = 'ci'\n", "[profile]\nci = 3\n", "\xff"])
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "histrio.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageProblem, match=r"histrio\.toml"):
        file_layers(file, None)


def test_a_file_that_was_named_and_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be read"):
        file_layers(tmp_path / "missing.toml", None)


def test_paths_in_a_file_start_at_the_file(tmp_path: Path) -> None:
    """The same configuration gives the same store from every folder of the project."""
    file = write(tmp_path / "histrio.toml", 'store = "out/runs"\nplan = "/plans/p.json"\nseed = 3\n')
    spec = spec_of(*file_layers(file, None))
    assert spec.store == tmp_path / "out" / "runs"
    assert spec.plan == Path("/plans/p.json")
    assert spec_of_options({"store": "here"}).store == Path("here")


def test_a_saved_plan_is_repeated_under_its_own_seed_unless_another_is_given() -> None:
    """`histrio run --plan FILE` is the run that found the bug."""
    plan = str(Path(__file__).parents[2] / "regressions" / "leader_local_read.1.plan.json")
    assert spec_of_options({"plan": plan}).seed == 1
    assert spec_of_options({"plan": plan, "seed": "9"}).seed == 9


def test_the_nearest_configuration_upwards_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write(tmp_path / "histrio.toml", "")
    write(tmp_path / "a" / "pyproject.toml", "[tool.other]\n")
    assert find_file(below) == tmp_path / "histrio.toml", "a pyproject.toml without our table is none of ours"
    shared = write(tmp_path / "a" / "pyproject.toml", "[tool.histrio]\nnodes = 3\n")
    assert find_file(below) == shared
    assert spec_of(*file_layers(shared, None)).nodes == 3
    own = write(tmp_path / "a" / "histrio.toml", "")
    assert find_file(below) == own


# ── profiles ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", BUILT_IN_PROFILES)
def test_every_built_in_profile_can_be_read(name: str) -> None:
    assert spec_of(*profile_layers(name)) != spec_of()


def test_an_unknown_profile_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        profile_layers("smoek")
    assert caught.value.fix == "did you mean `smoke`?"
    file = write(tmp_path / "histrio.toml", "[profile.weekly]\nnodes = 3\n")
    with pytest.raises(UsageProblem) as caught:
        file_layers(file, "weakly")
    assert caught.value.fix == "did you mean `weekly`?"


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_field_of_a_trials_specification_has_a_setting() -> None:
    """A field without a setting could be planned, but never asked for, nor repeated."""
    assert {setting.field for setting in SETTINGS} - {None} == set(TrialSpec.__struct_fields__)


def test_every_setting_is_described_for_editors() -> None:
    properties = file_schema()["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == {setting.name for setting in SETTINGS} | {"profile"}
    msgspec.json.encode(file_schema())


def test_a_word_like_no_other_is_answered_with_all_there_are() -> None:
    assert suggestion("zzz", ["ci", "smoke"]) == "known are: ci, smoke"


words = st.text("abcxyz_-.0123 '\"$=", min_size=1).filter(lambda word: word not in ("none", "all"))
names = st.text("abcdefgh-_", min_size=1).filter(lambda name: name not in ("none", "all"))
specs = st.builds(
    TrialSpec,
    environment=words,
    system=words,
    system_options=st.dictionaries(names, names, max_size=3),
    bug=st.none() | names,
    nodes=st.integers(1, 99),
    workload=words,
    nemesis=st.sampled_from([("none",), ("all",)]) | st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    time_limit_s=st.floats(0.001, 1e6),
    rate_hz=st.floats(0.001, 1e6),
    concurrency=st.integers(1, 500),
    event_budget=st.integers(1, 10**9),
    white_box=st.booleans(),
    seed=st.integers(0, 2**63),
    plan=st.none() | names.map(Path),
    name=st.none() | words,
    store=names.map(Path),
)


@given(specs)
def test_the_command_that_repeats_a_run_asks_for_exactly_that_run(spec: TrialSpec) -> None:
    """What run.json keeps as `command` must mean the same trial when it is pasted into a shell."""
    program, command, *arguments = shlex.split(command_line(spec))
    assert (program, command) == ("histrio", "run")
    options: dict[str, object] = {}
    repeated = {setting.name for setting in SETTINGS if setting.repeated}
    for option, value in zip(arguments[::2], arguments[1::2], strict=True):
        name = option.removeprefix("--")
        options[name] = [*options.get(name, []), value] if name in repeated else value  # type: ignore[misc]
    assert spec_of_options(options) == spec


def test_the_command_that_repeats_a_run_names_only_what_is_not_usual() -> None:
    assert command_line(TrialSpec(seed=5)) == "histrio run --seed 5"
    assert command_line(TrialSpec(seed=5, nodes=3, concurrency=6)) == "histrio run --seed 5 --nodes 3"


def test_a_setting_has_one_name_in_three_spellings() -> None:
    setting = replace(SETTINGS[0], name="time-limit")
    assert (setting.option, setting.variable) == ("--time-limit", "HISTRIO_TIME_LIMIT")
