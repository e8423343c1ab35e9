"""Every fault of real worlds on real nodes: a client sees the effect while it lasts, and sees it end (issue 6, item 4).

Each cell runs in a process of its own: in `local` as root and as an ordinary user, and in `docker`. The marker `sample`
says which of them are in the test command; all are run by `pytest -m cells`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from histrio.environments.mechanisms.registry import ALL_MECHANISMS, MAY_END_NODES, beyond_unloading
from tests.conftest import ROOT, missing
from tests.histrio.environments.bench import BY_KERNEL, CELLS

BENCH = Path(__file__).with_name("bench.py")
ORDINARY_USER = 65534
_CELL_S = 60
_USABLE = "import msgspec, trio, histrio, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
_LACKS = """
import json
from histrio.environments.namespaces import enter, obstacle
refusal = obstacle()
if refusal is None:
    enter()
    from histrio.environments.mechanisms.registry import beyond_unloading, obstacles
    print(json.dumps({**obstacles(), "by the kernel": beyond_unloading().get("disk.hang")}))
else:
    print(json.dumps({"": str(refusal)}))
"""

Seen = dict[str, Any]


# ── whoever runs it ──────────────────────────────────────────────────────────────────────────────────────────────────


def _libraries() -> str:
    """The checkout, and where trio is."""
    import trio

    return os.pathsep.join((str(ROOT), str(Path(trio.__file__).parent.parent)))


@cache
def command_as(user: str) -> tuple[str, ...] | None:
    """How to start Python as `root` or as an ordinary `user`; None: it cannot be done from here."""
    root = os.geteuid() == 0
    if user == "docker" or (user == "root") == root:
        return (sys.executable,)
    if user == "root" or shutil.which("setpriv") is None:
        return None
    number = str(ORDINARY_USER)
    become = ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups")
    for python in (sys.executable, "/usr/bin/python3"):  # a home that others cannot enter may hold the first
        if _run((*become, python, "-c", _USABLE)).returncode == 0:
            return (*become, python)
    return None


def _run(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": _libraries(), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=_CELL_S, check=False, env=environ)


@cache
def lacks_of(user: str) -> dict[str, str | None]:
    """Mechanism -> why it is not to be had."""
    if user == "docker":
        from histrio.environments.containers import DOCKER

        beyond = beyond_unloading().get("disk.hang")
        return {
            **DOCKER.mechanisms,
            "by the kernel": beyond,
            "": None if DOCKER.obstacle is None else str(DOCKER.obstacle),
        }
    python = command_as(user)
    if python is None:
        return {"": f"no Python here can be run as {user}"}
    done = _run((*python, "-c", _LACKS))
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def observed(user: str, cell: str) -> Seen:
    """Run a cell, or skip it with the reason."""
    lacks = lacks_of(user)
    refusal = lacks.get("") or lacks.get(CELLS[cell][0]) or (lacks.get("by the kernel") if cell in BY_KERNEL else None)
    if refusal:
        missing(("docker" if user == "docker" else "namespaces") if lacks.get("") else CELLS[cell][0], refusal)
    python = command_as(user)
    assert python is not None
    done = _run((*python, str(BENCH), "docker" if user == "docker" else "local", cell))
    assert done.returncode == 0, done.stderr[-3000:]
    seen: Seen = json.loads(done.stdout)
    return seen


# ── what a client must see ───────────────────────────────────────────────────────────────────────────────────────────


def _came_back(answer: str) -> list[str]:
    return [number for number in answer.partition(" ")[2].split(",") if number]


def _all_in_order(answer: str) -> bool:
    came = _came_back(answer)
    return came == sorted(set(came)) and len(came) in (20, 200)


def _network_is_well(seen: Seen) -> None:
    assert _all_in_order(seen["before"])
    assert _all_in_order(seen["after"])


def loss(seen: Seen) -> None:
    _network_is_well(seen)
    assert 100 <= len(_came_back(seen["during"])) <= 180
    assert seen["counts"]["packets_lost"] + len(_came_back(seen["during"])) == 200


def delay(seen: Seen) -> None:
    _network_is_well(seen)
    assert int(seen["during"].partition(" ")[0]) >= 60_000_000
    assert int(seen["after"].partition(" ")[0]) < 60_000_000
    assert seen["counts"]["packets_delayed"] == 20


def reorder(seen: Seen) -> None:
    _network_is_well(seen)
    came = _came_back(seen["during"])
    assert sorted(came) == _came_back(seen["before"])
    assert came != sorted(came)
    assert seen["counts"]["packets_reordered"] > 0


def duplicate(seen: Seen) -> None:
    _network_is_well(seen)
    came = _came_back(seen["during"])
    assert len(set(came)) == 200
    assert len(came) == 200 + seen["counts"]["packets_duplicated"] > 240


def corrupt(seen: Seen) -> None:
    _network_is_well(seen)
    came = _came_back(seen["during"])
    assert "spoilt" not in came, "the checksum tells, and the receiver drops it"
    assert len(came) == 200 - seen["counts"]["packets_corrupted"] < 190


def corrupt_silently(seen: Seen) -> None:
    """All come back, since no checksum tells; what was altered in the six digits of its number may still look well."""
    _network_is_well(seen)
    came = _came_back(seen["during"])
    assert len(came) == 200
    assert 15 < came.count("spoilt") <= seen["counts"]["packets_corrupted"]


def slow(seen: Seen) -> None:
    assert int(seen["before"]) < 300
    assert int(seen["during"]) > 400, "40 kB at 64 kB/s"
    assert int(seen["after"]) < 300
    assert seen["counts"]["packets_throttled"] > 0


def reset(seen: Seen) -> None:
    assert seen["before"].endswith("whole")
    assert seen["during"].endswith(("ConnectionResetError", "BrokenPipeError", "closed", "error 104"))
    assert seen["after"].endswith("whole")
    assert seen["counts"]["connections_reset"] > 0


def _offsets(looks: list[str]) -> list[int]:
    """Of the wall clock against the kernel's uptime, in ms."""
    return [(int(wall) - int(uptime)) // 1_000_000 for wall, _, uptime in (look.split() for look in looks)]


def _shifts(seen: Seen) -> list[int]:
    (base,) = _offsets([seen["before"]])
    (after,) = _offsets([seen["after"]])
    assert abs(after - base) < 100
    return [offset - base for offset in _offsets(seen["during"])]


def step(seen: Seen) -> None:
    assert all(-1100 < shift < -900 for shift in _shifts(seen))
    assert seen["counts"]["clock_steps_seen"] > 0
    assert seen["counts"]["wall_reads_shifted"] >= 40


def strobe(seen: Seen) -> None:
    shifts = _shifts(seen)
    assert any(abs(shift) < 100 for shift in shifts)
    assert any(abs(shift - 1000) < 100 for shift in shifts)
    assert seen["counts"]["clock_steps_seen"] > 2


def rate(seen: Seen) -> None:
    (fake, real), (fake_after, real_after) = (map(int, seen[when].split()) for when in ("doze during", "doze after"))
    assert 1.5 < fake / real < 2.5, "the clock is twice as fast, and the wait half as long"
    assert real < 170_000_000
    assert 0.8 < fake_after / real_after < 1.25
    assert seen["counts"]["timers_shifted"] > 0
    looks = [int(look.split()[1]) for look in seen["during"]]
    assert looks == sorted(looks), "it never jumps back"


def _refused(error: int, name: str) -> Callable[[Seen], None]:
    def refused(seen: Seen) -> None:
        assert seen["before"].isdigit()
        assert seen["after"].isdigit()
        assert seen["during"] == f"error {error}"
        assert seen["ping"] == "pong"
        assert seen["counts"][name] > 0

    return refused


def _ended(name: str) -> Callable[[Seen], None]:
    """What a node that loads nothing shows of its disk: it ends, and starts again when the disk is well."""

    def ended(seen: Seen) -> None:
        assert seen["before"].isdigit()
        assert seen["during"] == "closed"
        assert seen["after"].isdigit()
        assert seen["counts"][name] == 1
        assert "70" in seen["exits"][0]

    return ended


def slow_disk(seen: Seen) -> None:
    assert int(seen["during"]) >= 90 > max(int(seen["before"]), int(seen["after"])), "two syncs of 50 ms more"
    assert seen["counts"]["syncs_delayed"] == 2


def hang(seen: Seen) -> None:
    assert seen["during"] == "silent"
    assert seen["ping"] == "pong"
    assert seen["after"].isdigit()
    assert seen["counts"]["syncs_held"] == 1


def power(seen: Seen) -> None:
    """1000 bytes were synced; 700 more, a file and a new name were not."""
    assert seen["during"] in ("refused", "silent")
    sizes = {name: answer.split()[0] for name, answer in seen["after"].items()}
    assert sizes == {"a": "1000", "b": "0", "c": "100", "d": "error"}, "the directory was synced after b was made"
    assert seen["counts"]["unsynced_bytes_lost"] == 700 + 500 + 100
    assert seen["counts"]["processes_ended"] == 1


def torn(seen: Seen) -> None:
    """What was synced is there; of what was not, sectors at most: 700 bytes are two sectors, 500 are one."""
    assert seen["during"] in ("refused", "silent")
    assert int(seen["after"]["a"].split()[0]) in (1000, 1512, 1700)
    assert int(seen["after"]["b"].split()[0]) in (0, 500)
    kept = int(seen["after"]["a"].split()[0]) - 1000 + int(seen["after"]["b"].split()[0])
    assert seen["counts"]["bytes_torn"] == 1200 - kept
    assert seen["after"]["c"].split()[0] == "100"


def flip(seen: Seen) -> None:
    assert seen["during"] != seen["before"] == seen["after"]
    assert [answer.split()[0] for answer in seen["during"]] == ["40000", "40000"]
    assert seen["counts"]["bits_flipped"] == 8


def truncate(seen: Seen) -> None:
    sizes = [int(answer.split()[0]) for answer in seen["during"]]
    assert sum(sizes) == 80000 - seen["counts"]["bytes_truncated"] < 80000
    assert seen["before"] == seen["after"]


def cpu(seen: Seen) -> None:
    assert int(seen["during"]) > 2 * min(int(seen["before"]), int(seen["after"]))
    assert seen["counts"]["throttled_periods"] > 3


def memory(seen: Seen) -> None:
    assert seen["during"] in ("closed", "refused")
    assert seen["before"] == seen["after"] == "hoarded"
    assert seen["counts"]["oom_kills"] == 1
    assert "signal 9" in seen["exits"][0]


def files(seen: Seen) -> None:
    assert seen["before"] == seen["after"] == "5"
    assert seen["during"] in ("silent", "error 24")
    assert seen["counts"]["file_errors"] > 0


EXPECTED: dict[str, Callable[[Seen], None]] = {
    "loss": loss,
    "delay": delay,
    "reorder": reorder,
    "duplicate": duplicate,
    "corrupt": corrupt,
    "corrupt silently": corrupt_silently,
    "slow": slow,
    "reset": reset,
    "step": step,
    "strobe": strobe,
    "rate": rate,
    "full": _refused(28, "write_errors"),
    "error": _refused(5, "io_errors"),
    "read-only": _refused(30, "write_errors"),
    "slow disk": slow_disk,
    "hang": hang,
    "power": power,
    "full by the kernel": _ended("write_errors"),
    "error by the kernel": _ended("io_errors"),
    "read-only by the kernel": _ended("write_errors"),
    "hang by the kernel": hang,
    "power by the kernel": power,
    "torn": torn,
    "flip": flip,
    "truncate": truncate,
    "cpu": cpu,
    "memory": memory,
    "files": files,
}
SAMPLE = {
    ("root", "loss"),
    ("root", "power"),
    ("root", "full"),
    ("root", "hang by the kernel"),
    ("user", "rate"),
    ("user", "power"),
    ("user", "reset"),
}


def _cells() -> list[Any]:
    pairs = [(user, cell) for user in ("root", "user", "docker") for cell in CELLS]
    return [
        pytest.param(*pair, id="-".join(pair), marks=[pytest.mark.cells, *[pytest.mark.sample] * (pair in SAMPLE)])
        for pair in pairs
    ]


@pytest.mark.parametrize(("user", "cell"), _cells())
def test_a_client_sees_the_fault_and_its_end(user: str, cell: str) -> None:
    """Issue 6: every cell marked as working has a test that shows a client seeing the effect and its end."""
    seen = observed(user, cell)
    EXPECTED[cell](seen)
    assert seen["rule"]
    assert seen["healed"], "the probe saw the end, too"
    assert CELLS[cell][0] in MAY_END_NODES or not seen["exits"]


def test_every_mechanism_has_a_cell() -> None:
    of_processes = {"network.block", "process.kill", "process.terminate", "process.pause"}
    assert {mechanism for mechanism, _ in CELLS.values()} == set(ALL_MECHANISMS) - of_processes
    assert set(CELLS) == set(EXPECTED)
