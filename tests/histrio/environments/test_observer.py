"""What is known of real nodes: only what they wrote, whole, and only as long as they live."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checker.records import AnyTraceEvent, Became, Committed, Restored, Voted
from histrio.environments.observer import Observer
from histrio.errors import HarnessFailure
from histrio.systems.system import NodeStatus
from tests.histrio.environments.fakes import FakeCluster, line

NODES = ("n1", "n2", "n3")
STARTED = Restored(term=0, voted_for=None, last_index=0, last_term=0)


class Watching:
    """An observer of three nodes that are up, at a time that the test sets."""

    def __init__(self, folder: Path, *watched: str) -> None:
        self.cluster = FakeCluster(NODES, folder, lambda left: None, traced=True)
        self.cluster.alive.update(NODES)
        self.folder, self.watched, self.now_ns = folder, frozenset(watched), 1
        self.recorded = b""
        self.reported: list[tuple[str, str]] = []
        self.observer = Observer(
            self.cluster,
            now_ns=lambda: self.now_ns,
            record=self._record,
            watched=lambda: self.watched,
            reported=lambda node, event: self.reported.append((node, event)),
        )

    def _record(self, lines: bytes) -> None:
        self.recorded += lines

    def write(self, node: str, data: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / f"{node}.jsonl").open("ab") as file:
            file.write(data)

    def says(self, node: str, *events: AnyTraceEvent) -> None:
        self.write(node, b"".join(line(node, event) for event in events))
        self.observer.poll()


def leads(term: int) -> Became:
    return Became(role="leader", term=term)


def test_a_node_is_up_once_its_process_has_spoken(tmp_path: Path) -> None:
    """A process that still reads its disk serves nobody."""
    watching = Watching(tmp_path)
    assert watching.observer.view().up == ()
    watching.says("n2", STARTED)
    assert watching.observer.view().up == ("n2",)
    watching.cluster.alive.discard("n2")
    watching.observer.ended("n2")
    assert watching.observer.view().up == ()
    watching.cluster.alive.add("n2")
    assert watching.observer.view().up == (), "started again, and silent"


def test_the_leader_is_the_one_of_the_highest_term_that_is_up(tmp_path: Path) -> None:
    watching = Watching(tmp_path)
    watching.says("n1", STARTED, leads(1))
    watching.says("n2", STARTED, leads(3))
    watching.says("n3", STARTED, leads(2))
    assert watching.observer.view().leader == "n2"
    watching.cluster.alive.discard("n2")
    watching.observer.ended("n2")
    assert watching.observer.view().leader == "n3"
    watching.says("n3", Became(role="follower", term=4))
    assert watching.observer.view().leader == "n1"


def test_events_are_reported_if_a_fault_waits_for_them(tmp_path: Path) -> None:
    watching = Watching(tmp_path, "became-leader", "voted")
    watching.says("n1", STARTED, Voted(term=1, candidate="n1"), Committed(index=1), leads(1))
    watching.says("n2", STARTED, Became(role="candidate", term=2), Voted(term=2, candidate="n2"))
    assert watching.reported == [("n1", "voted"), ("n1", "became-leader"), ("n2", "voted")]


def test_what_a_report_has_started_waits_for_what_comes_after_it(tmp_path: Path) -> None:
    """A fault that the first vote arms for the second must see the second, in the same flush."""
    watching = Watching(tmp_path, "voted")
    seen = watching.reported

    def report(node: str, event: str) -> None:
        seen.append((node, event))
        watching.watched = frozenset({"committed"})

    watching.observer._reported = report
    watching.says("n1", Voted(term=1, candidate="n1"), Voted(term=2, candidate="n1"), Committed(index=1))
    assert [event for _, event in seen] == ["voted", "committed"]


def test_spoke_tells_when_a_node_was_last_heard(tmp_path: Path) -> None:
    watching = Watching(tmp_path)
    assert watching.observer.spoke("n1") == -1
    watching.now_ns = 70
    watching.says("n1", STARTED)
    watching.now_ns = 90
    watching.observer.poll()
    assert watching.observer.spoke("n1") == 70
    watching.observer.answered("n1", NodeStatus("follower", 1))
    assert watching.observer.spoke("n1") == 90


def test_the_clock_of_each_incarnation_is_compared_when_it_is_first_heard(tmp_path: Path) -> None:
    """So that a report can draw what nodes did on the run's time axis. These traces begin at 0 of the node's clock."""
    watching = Watching(tmp_path)
    watching.now_ns = 70
    watching.says("n1", STARTED)
    watching.now_ns = 90
    watching.says("n1", leads(1))
    watching.observer.ended("n1")
    watching.now_ns = 200
    watching.write("n1", line("n1", STARTED, incarnation=2))
    watching.observer.poll()
    assert [(clock.incarnation, clock.offset_ns) for clock in watching.observer.clocks] == [(1, 70), (2, 200)]


def test_a_line_that_a_killed_node_did_not_finish_is_dropped(tmp_path: Path) -> None:
    """The next incarnation appends right behind it (a signal may cut a write short)."""
    watching = Watching(tmp_path)
    first, second = line("n1", STARTED), line("n1", STARTED, incarnation=2)
    watching.write("n1", first + first[:20])
    watching.observer.poll()
    watching.observer.ended("n1")
    watching.write("n1", second)
    watching.observer.poll()
    assert watching.recorded == first + second


def test_the_last_words_of_a_node_are_recorded(tmp_path: Path) -> None:
    watching = Watching(tmp_path)
    watching.write("n1", line("n1", STARTED))
    watching.observer.ended("n1")
    assert watching.recorded == line("n1", STARTED)


def test_a_line_that_is_no_trace_is_a_failure_of_the_harness(tmp_path: Path) -> None:
    """It says nothing about the system, and must not be passed over."""
    watching = Watching(tmp_path)
    watching.write("n1", b'{"event": {"type": "became"}}\n')
    with pytest.raises(HarnessFailure, match="n1"):
        watching.observer.poll()


EVENTS: tuple[AnyTraceEvent, ...] = (STARTED, leads(1), Committed(index=1)) * 5
LINES = b"".join(line("n1", event, seq=seq) for seq, event in enumerate(EVENTS))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(LINES)), max_size=12), data=st.data())
def test_lines_are_recorded_whole_and_once_however_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], data: st.DataObject
) -> None:
    """At any moment the record is the longest prefix of whole lines."""
    watching = Watching(tmp_path_factory.mktemp("nodes"))
    written = 0
    for cut in [*sorted(cuts), len(LINES)]:
        watching.write("n1", LINES[written:cut])
        written = cut
        if data.draw(st.booleans()) or cut == len(LINES):
            watching.observer.poll()
            assert watching.recorded == LINES[: LINES.rfind(b"\n", 0, cut) + 1]
