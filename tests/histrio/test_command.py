"""The installed command from end to end: real services, real files, real exit codes (architecture §4, issue #2)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
QUICK = ("--nodes", "3", "--time-limit", "3s", "--concurrency", "6")


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "histrio", *arguments],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def histrio(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_a_run_ends_with_a_verdict_a_report_and_the_line_that_replays_it(tmp_path: Path) -> None:
    """Seed first and last on the terminal; what was asked for on stdout, progress on stderr."""
    code, out, err = histrio("run", "--seed", "5", *QUICK, cwd=tmp_path)
    assert code == 0, err
    assert err.startswith("seed 5")
    assert out.rstrip().endswith("seed    5")
    assert "VALID" in out
    assert (tmp_path / "runs" / "latest" / "report.html").read_text().startswith("<!doctype html>")
    code, out, err = histrio("replay", "runs/latest", cwd=tmp_path)
    assert code == 0, err
    assert "identical" in out


def test_the_verdict_of_a_violation_is_exit_code_1_and_json_for_machines(tmp_path: Path) -> None:
    """1 only after verdict.json says invalid."""
    bug = ("--bug", "ack_on_append", "--checks", "black-box")
    code, out, _ = histrio("run", "--seed", "1", "--time-limit", "10s", "--json", *bug, cwd=tmp_path)
    answer = json.loads(out)
    assert (code, answer["validity"]) == (1, "invalid")
    assert answer["signature"].startswith("linearizability/")
    assert json.loads((tmp_path / "runs/latest/verdict.json").read_text())["validity"] == "invalid"


def test_demo_finds_the_planted_bug_and_without_one_says_that_nothing_was_found(tmp_path: Path) -> None:
    """Issue #2: a real search; `--bug none` does not exit 0."""
    code, out, err = histrio("demo", cwd=tmp_path)
    assert code == 0, err
    assert "contradiction" in out
    assert "report.html" in out
    code, out, _ = histrio("demo", "--bug", "none", cwd=tmp_path)
    assert code == 1
    assert "nothing found" in out


def test_a_harness_killed_in_the_middle_leaves_a_directory_that_check_and_report_accept(tmp_path: Path) -> None:
    """Architecture §2: open invocations become `info`, a half-written last line is dropped with a warning."""
    process = start("run", "--seed", "1", "--time-limit", "300s", cwd=tmp_path)
    history = tmp_path / "runs" / "latest" / "history.jsonl"
    assert process.stderr is not None
    while not (history.is_file() and history.stat().st_size > 300_000):
        assert process.poll() is None, process.stderr.read()
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with history.open("ab") as file:
        file.write(b'{"index": 99')  # as if the kill had come within the write of a line
    code, out, err = histrio("check", "runs/latest", cwd=tmp_path)
    assert code in (2, 3), err  # cut off: never valid, and nothing is wrong with the system
    assert "killed" in out
    assert histrio("report", "runs/latest", cwd=tmp_path)[0] == 0
    assert "killed" in (tmp_path / "runs" / "latest" / "report.html").read_text()


def test_an_interrupted_run_says_so_and_can_be_judged(tmp_path: Path) -> None:
    """130 for Ctrl-C."""
    process = start("run", "--seed", "1", "--time-limit", "300s", cwd=tmp_path)
    history = tmp_path / "runs" / "latest" / "history.jsonl"
    while not (history.is_file() and history.stat().st_size > 100_000):
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert histrio("check", "runs/latest", cwd=tmp_path)[0] in (2, 3)


def test_a_line_cut_in_half_in_the_middle_of_a_history_is_named_with_file_and_line(tmp_path: Path) -> None:
    """Issue #2, bad input: exit code 64."""
    lines = (ROOT / "tests" / "golden" / "history.jsonl").read_text().splitlines(keepends=True)
    lines[2] = lines[2][: len(lines[2]) // 2] + "\n"
    (tmp_path / "history.jsonl").write_text("".join(lines))
    code, _, err = histrio("check", "history.jsonl", "--model", "cas-register", cwd=tmp_path)
    assert code == 64
    assert "history.jsonl:3" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "--workload", "regster"), "register"),
        (("run", "--nemesis", "partitoin"), "partition"),
        (("run", "--bug", "ack_on_apend"), "ack_on_append"),
        (("run", "--system-option", "profil=paper"), "profile"),
        (("run", "--sede", "1"), "--seed"),
    ],
)
def test_a_word_that_is_not_known_is_refused_with_the_nearest_one(
    arguments: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    """Issue #2, bad input: exit code 64 and a suggestion."""
    code, _, err = histrio(*arguments, cwd=tmp_path)
    assert code == 64
    assert expected in err


def test_an_unknown_key_of_the_configuration_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    """Style-anchors §5.1: unknown keys are errors."""
    (tmp_path / "histrio.toml").write_text('time-limt = "5s"\n')
    code, _, err = histrio("run", cwd=tmp_path)
    assert code == 64
    assert "time-limit" in err
    assert "histrio.toml" in err


def test_an_environment_that_cannot_be_used_here_is_69(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §3: refused by name, with the reason and the remedy."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    code, _, err = histrio("run", "--env", "docker", cwd=tmp_path)
    assert code == 69
    assert "DOCKER_HOST" in err
