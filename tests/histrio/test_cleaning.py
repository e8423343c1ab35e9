"""What `histrio doctor --clean` removes and what it leaves alone: in a network of its own, where it can hurt nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from histrio.environments.mechanisms import cgroups, needs
from histrio.environments.namespaces import as_root
from tests.conftest import ROOT, missing

SCRIPT = """
nft add table bridge histrio-f01 && nft add table ip other &&
iptables -N HISTRIO-7100 && iptables -I FORWARD 1 -j HISTRIO-7100 &&
iptables -A HISTRIO-7100 -s 10.0.0.1 -j NFQUEUE --queue-num 7100 --queue-bypass &&
iptables -N OTHERS && {python} -c '
import histrio.cleaning as c
c._labelled = lambda: iter(())
for what, gone in c.remove_leftovers(): print("removed" if gone else "stays", what)
print("again", c.remove_leftovers())
' && nft list tables && iptables-save -t filter | grep '^:'
"""


@pytest.fixture
def private_network() -> None:
    if not as_root() or needs.queue() is not None or needs.nft() is not None:
        missing("namespaces", needs.queue() or needs.nft() or "only root cleans up")


@pytest.mark.usefixtures("private_network")
def test_rules_of_ours_go_and_those_of_others_stay() -> None:
    """Issue 6: after a `kill -9` nothing of ours is left; Docker's part is its own test."""
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", SCRIPT.format(python=sys.executable)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "removed firewall table bridge histrio-f01" in lines
    assert "removed firewall chain HISTRIO-7100" in lines
    assert "again []" in lines
    assert "table ip other" in lines
    assert "table bridge histrio-f01" not in lines
    assert any(line.startswith(":OTHERS") for line in lines)
    assert not any(line.startswith(":HISTRIO") for line in lines)


def test_groups_of_harnesses_that_are_gone_go_and_those_of_others_stay() -> None:
    from histrio.cleaning import leftover_groups

    if (obstacle := cgroups.obstacle("cpu")) is not None:
        missing("resource.cpu", obstacle)
    found = cgroups.controller_folder("cpu")
    assert found is not None
    gone, mine = (found[0] / f"{cgroups.GROUP_PREFIX}{pid}-cleaning" for pid in (4_194_305, os.getpid()))
    for group in (gone, mine):
        group.mkdir(exist_ok=True)
    try:
        found_groups = dict(leftover_groups())
        assert f"control group {mine}" not in found_groups
        assert found_groups[f"control group {gone}"]()
        assert mine.exists()
        assert not gone.exists()
    finally:
        mine.rmdir()


def test_doctor_says_for_every_need_what_is_lost_without_it(tmp_path: Path) -> None:
    from histrio.doctor import probe
    from histrio.environments.mechanisms.needs import NEEDS
    from histrio.environments.mechanisms.registry import dependants

    rows = {row.name: row for row in probe((), store=tmp_path)}
    for name, need in NEEDS.items():
        assert dependants(need), name
        assert rows[name].available == (need() is None)
        assert rows[name].detail
