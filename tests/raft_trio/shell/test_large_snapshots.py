"""A large snapshot reaches a newcomer while the others go on: no election, and most of the puts (issue #5)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from raft_trio.client import ask_node, ask_status, open_client
from raft_trio.errors import RaftError
from raft_trio.messages import ChangeMembership, Done, TakeSnapshot
from tests.raft_trio.shell.leading import leader_of, status_of
from tests.raft_trio.shell.processes import ROOT, Processes, free_addresses

VALUE_BYTES = 100_000


@dataclass(frozen=True)
class Figures:
    """Of one transfer."""

    snapshot_bytes: int
    seconds: float
    """From asking for the learner until it had the snapshot on disk and what was committed when it was asked for."""
    rate_otherwise: float
    """Entries committed in a second, just before and just after: the machine has other things to do."""
    rate_during: float
    terms: int
    """Elections meanwhile."""

    def __str__(self) -> str:
        share = self.rate_during / self.rate_otherwise
        return (
            f"a snapshot of {self.snapshot_bytes / 1e6:.0f} MB reached a learner in {self.seconds:.1f} s; puts/s: "
            f"{self.rate_otherwise:.0f} before and after, {self.rate_during:.0f} meanwhile ({share:.0%})"
        )


@contextmanager
def cluster_with_newcomer(folder: Path) -> Iterator[tuple[Processes, str]]:
    """Three nodes that keep next to nothing below a snapshot, running, and the settings and the address of a fourth."""
    cluster = Processes(folder, trace=False, tls=False)
    (address,) = free_addresses(1)
    settings = ["trailing_logs = 5", "snapshot_threshold = 1000000"]
    for node in cluster.members:
        with (folder / f"{node}.toml").open("a") as file:
            file.write("\n" + "\n".join(settings) + "\n")
    members = ", ".join(f'{name} = "{place}"' for name, place in (cluster.members | {"n4": address}).items())
    own = ['node_id = "n4"', 'data_dir = "n4"', "joins = true", f"members = {{ {members} }}", *settings]
    (folder / "n4.toml").write_text("\n".join(own))
    try:
        cluster.start()
        yield cluster, address
    finally:
        cluster.kill()


@contextmanager
def puts(cluster: Processes) -> Iterator[None]:
    """A closed loop of 16 clients on the three nodes, in a process of its own."""
    members = ",".join(f"{node}={cluster.members[node]}" for node in ("n1", "n2", "n3"))
    command = [sys.executable, "-m", "benchmarks.raft_load", "--members", members, "--seconds", "120"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None, "the load ended by itself"
    finally:
        process.kill()
        process.wait(timeout=5)


async def transfer(cluster: Processes, newcomer: str, values: int) -> Figures:
    """Fills the nodes, has them take snapshots, adds a learner under load, and waits for it."""
    async with open_client(cluster.members) as client:
        for number in range(values):
            await client.put(f"large{number}", "v" * VALUE_BYTES)
        for node, address in cluster.members.items():  # whoever leads, what the newcomer needs is in a snapshot only
            taken = await ask_node(node, address, TakeSnapshot("take"), timeout_s=30)
            assert isinstance(taken, Done), taken
        cluster.start("n4")
        await newcomer_has(newcomer, 0)
        leader = await leader_of(cluster)
        with puts(cluster):
            await trio.sleep(2)
            term, _ = await progress(cluster, leader)
            before = await rate(cluster, leader, 3.0)
            _, began_at = await progress(cluster, leader)
            began = trio.current_time()
            await client.administer(ChangeMembership("add", add_learners=("n4",)))
            await newcomer_has(newcomer, began_at)
            await snapshot_is_durable(cluster.folder / "n4")
            seconds = trio.current_time() - began
            term_after, ended_at = await progress(cluster, leader)
            after = await rate(cluster, leader, 3.0)
    size = max(path.stat().st_size for path in (cluster.folder / "n4").glob("*.snap"))
    return Figures(size, seconds, (before + after) / 2, (ended_at - began_at) / seconds, term_after - term)


async def progress(cluster: Processes, node: str) -> tuple[int, int]:
    """Term and commit index."""
    with trio.fail_after(5):
        while True:
            status = await status_of(cluster, node)
            if status is not None:
                return status.term, status.commit_index
            await trio.sleep(0.02)


async def rate(cluster: Processes, leader: str, seconds: float) -> float:
    """Entries committed in a second."""
    began = trio.current_time()
    _, first = await progress(cluster, leader)
    await trio.sleep(seconds)
    _, last = await progress(cluster, leader)
    return (last - first) / (trio.current_time() - began)


async def newcomer_has(address: str, index: int) -> None:
    """Until it has applied that entry."""
    with trio.fail_after(60):
        while True:
            try:
                status = await ask_status("n4", address, timeout_s=0.5)
            except RaftError:
                status = None
            if status is not None and status.applied_index >= index:
                return
            await trio.sleep(0.05)


async def snapshot_is_durable(folder: Path) -> None:
    """The state is in force before it is on the disk; the name comes when it is."""
    with trio.fail_after(60):
        while True:
            if any(path.suffix == ".snap" for path in folder.iterdir()):  # noqa: ASYNC240  a folder with ten names
                return
            await trio.sleep(0.05)


async def test_a_snapshot_reaches_a_learner_without_an_election(tmp_path: Path) -> None:
    """Issue #5, acceptance; a short version, without a bound on a rate that a busy machine decides."""
    with trio.fail_after(60), cluster_with_newcomer(tmp_path) as (cluster, newcomer):
        figures = await transfer(cluster, newcomer, 20)
    print(figures)
    assert figures.snapshot_bytes > 2_000_000
    assert figures.terms == 0
    assert figures.seconds < 30


@pytest.mark.soak
async def test_a_hundred_megabytes_reach_a_learner_within_half_a_minute_and_puts_go_on(tmp_path: Path) -> None:
    """Issue #5, acceptance."""
    with trio.fail_after(300), cluster_with_newcomer(tmp_path) as (cluster, newcomer):
        figures = await transfer(cluster, newcomer, 520)
    print(figures)
    assert figures.snapshot_bytes > 100_000_000
    assert figures.terms == 0, figures
    assert figures.seconds < 30, figures
    assert figures.rate_during > 0.7 * figures.rate_otherwise, figures
