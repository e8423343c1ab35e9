"""What operators and Prometheus are told, by real nodes."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from raft_trio.__main__ import main
from raft_trio.client import open_client
from raft_trio.errors import RequestTimeout
from raft_trio.messages import PeerStatus, StatusReport
from raft_trio.shell.histogram import Histogram
from raft_trio.shell.host import serve
from raft_trio.shell.metrics import serve_metrics
from raft_trio.shell.settings import Settings
from raft_trio.tools.status import ask_all, table
from raft_trio.types import Config, Role
from tests.raft_trio.shell.processes import free_addresses


async def test_every_member_that_answers_is_shown_and_every_other_one_named(tmp_path: Path) -> None:
    members = dict(zip(("n1", "n2", "n3"), free_addresses(3), strict=True))
    nodes = [Settings(node_id=node, data_dir=tmp_path / node, members=members) for node in ("n1", "n2")]
    with trio.fail_after(15):
        async with trio.open_nursery() as nursery:
            for settings in nodes:
                await nursery.start(lambda task_status, settings=settings: serve(settings, task_status=task_status))
            async with open_client(members) as client:
                await client.put("k", 1)
            answers = await ask_all(nodes[0])
            nursery.cancel_scope.cancel()
    assert isinstance(answers["n3"], RequestTimeout)
    told = [answer for answer in answers.values() if isinstance(answer, StatusReport)]
    assert [status.node for status in told] == ["n1", "n2"]
    assert sorted(status.role for status in told) == ["follower", "leader"]
    assert {status.last_index for status in told} == {3}
    leader = next(status for status in told if status.role == "leader")
    assert leader.leader == leader.node
    assert leader.applied_index == 3
    assert sorted(peer.match_index for peer in leader.peers) == [0, 3]


def test_the_table_says_how_far_each_follower_is_behind() -> None:
    config = Config(("n1", "n2"), learners=("n3",))
    followers = PeerStatus("n2", "replicate", 97, 98), PeerStatus("n3", "probe", 0, 1)
    leader = StatusReport("", "n1", Role.LEADER, 7, "n1", 98, 98, 1, 100, 0, config, 1, followers)
    stale = PeerStatus("n1", "replicate", 90, 91), PeerStatus("n3", "replicate", 90, 91)
    deposed = StatusReport("", "n2", Role.LEADER, 6, "n2", 90, 90, 1, 99, 0, config, 1, stale)
    learner = StatusReport("", "n3", Role.FOLLOWER, 7, None, 0, 0, 1, 0, 0, config, 1)
    gone = StatusReport("", "n4", Role.FOLLOWER, 5, None, 1, 1, 1, 1, 0, config, 1)
    shown = table({"n1": leader, "n2": deposed, "n3": learner, "n4": gone, "n5": RequestTimeout("n5 did not answer")})
    assert [line.split() for line in shown.splitlines()] == [
        ["node", "role", "vote", "term", "leader", "last", "commit", "applied", "behind"],
        ["n1", "leader", "yes", "7", "n1", "100", "98", "98", "-"],
        ["n2", "leader", "yes", "6", "n2", "99", "90", "90", "3"],
        ["n3", "follower", "learner", "7", "?", "0", "0", "0", "100"],
        ["n4", "follower", "no", "5", "?", "1", "1", "1", "-"],
        ["n5", "no", "answer:", "n5", "did", "not", "answer"],
    ]


def test_a_cluster_that_does_not_answer_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "n1.toml"
    file.write_text(f'node_id = "n1"\ndata_dir = "d"\nmembers = {{ n1 = "{free_addresses(1)[0]}" }}\n')
    assert main(["status", "--config", str(file)]) == 70
    assert "no answer" in capsys.readouterr().out
    assert main(["status", "--json", "--config", str(file)]) == 70
    assert "did not answer" in msgspec.json.decode(capsys.readouterr().out)["n1"]["error"]


SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"\})? -?[0-9.e+-]+(inf)?')


async def test_prometheus_is_told_term_role_progress_syncs_and_requests(tmp_path: Path) -> None:
    address, metrics = free_addresses(2)
    settings = Settings(node_id="n1", data_dir=tmp_path / "n1", members={"n1": address}, metrics=metrics)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: serve(settings, task_status=task_status))
            async with open_client(settings.members) as client:
                for k in range(5):
                    await client.put("k", k)
                await client.get("k")
                answer = await asked(metrics, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await asked(metrics, b"GET /else HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 404")
            assert (await asked(metrics, b"\0" * 8192)).startswith("HTTP/1.1 404")
            nursery.cancel_scope.cancel()
    head, _, body = answer.partition("\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head
    samples = [line for line in body.splitlines() if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples)
    values = dict(line.rsplit(" ", 1) for line in samples)
    assert values["raft_term"] == "1"
    assert values['raft_role{role="leader"}'] == "1"
    assert values['raft_role{role="follower"}'] == "0"
    assert values["raft_commit_index"] == values["raft_applied_index"] == values["raft_last_index"] == "7"
    assert values['raft_requests_total{kind="Submit"}'] == "5"
    assert values['raft_requests_total{kind="Query"}'] == "1"
    assert values["raft_read_rounds_total"] == "1"
    assert values["raft_elections_total"] == values["raft_terms_led_total"] == "1"
    assert int(values["raft_sync_seconds_count"]) >= 7
    assert values['raft_sync_seconds_bucket{le="+Inf"}'] == values["raft_sync_seconds_count"]


async def asked(address: str, request: bytes) -> str:
    host, _, port = address.rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(request)
        answer = b""
        while data := await stream.receive_some(10_000):
            answer += data
    return answer.decode()


async def test_callers_that_say_nothing_do_not_keep_prometheus_out_for_ever(mock_clock: trio.testing.MockClock) -> None:
    """Eight at a time, five seconds each."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = "127.0.0.1", listeners[0].socket.getsockname()[1]

    def no_numbers() -> None:
        raise AssertionError("nobody asked")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_metrics, listeners, no_numbers))  # type: ignore[arg-type]
        silent = [await trio.open_tcp_stream(*address) for _ in range(8)]
        await trio.testing.wait_all_tasks_blocked(0.0)
        mock_clock.jump(5.1)
        assert [await stream.receive_some(10) for stream in silent] == [b""] * 8
        for stream in silent:
            await stream.aclose()
        nursery.cancel_scope.cancel()


def test_a_histogram_counts_what_is_at_most_each_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 2.0):
        histogram.add(value)
    assert list(histogram.cumulative()) == [("0.1", 2), ("1.0", 3), ("+Inf", 4)]
    assert histogram.count == 4
    assert histogram.sum == pytest.approx(2.65)
