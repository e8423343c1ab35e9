"""The picture and the text of a contradiction: order in real time must survive every shortening of the axis."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from checker.faults import summarize_faults
from reports.run_record import Operation, Outcome
from reports.timeline import OPERATIONS_MAX, text_timeline, timeline_svg
from tests.reports.directories import SECOND, fault_lines

SVG = "{http://www.w3.org/2000/svg}"
MS = 1_000_000


def an_operation(
    index: int, process: int, call_ns: int, return_ns: int | None, *, f: str = "write", outcome: Outcome = "ok"
) -> Operation:
    return Operation(
        index=index, process=process, f=f, key="x", argument=None if f == "read" else index, outcome=outcome,
        result=index, error=None, node="n1", call_ns=call_ns, return_ns=return_ns,
    )  # fmt: skip


def boxes(svg: str) -> dict[int, tuple[float, float]]:
    """History index -> left and right edge of the box."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None
        assert title.text is not None
        assert box is not None
        left = float(box.attrib["x"])
        found[int(title.text.split()[0].removeprefix("#"))] = (left, left + float(box.attrib["width"]))
    return found


operations_strategy = st.lists(
    st.tuples(st.integers(0, 5), st.one_of(st.integers(0, 30), st.integers(0, 10**11)), st.integers(1, 10**9)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(operations_strategy)
def test_boxes_keep_the_real_time_order_of_operations(rows: list[tuple[int, int, int]]) -> None:
    operations = [an_operation(i, process, call, call + length) for i, (process, call, length) in enumerate(rows)]
    drawn = boxes(timeline_svg(operations, (), end_ns=2 * 10**11))
    assert sorted(drawn) == list(range(len(rows)))
    for one in operations:
        for other in operations:
            assert one.return_ns is not None
            if one.return_ns <= other.call_ns:
                assert drawn[one.index][1] <= drawn[other.index][0] + 0.11, "coordinates have one decimal"
            if one.call_ns < other.call_ns:
                assert drawn[one.index][0] < drawn[other.index][0]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(operations_strategy)
def test_no_label_covers_another(rows: list[tuple[int, int, int]]) -> None:
    operations = [an_operation(i, process, call, call + length) for i, (process, call, length) in enumerate(rows)]
    svg = ET.fromstring(timeline_svg(operations, (), end_ns=2 * 10**11))
    spans: dict[float, list[tuple[float, float]]] = {}
    for group in svg.iter(f"{SVG}g"):
        label = group.find(f"{SVG}text")
        assert label is not None
        left = float(label.attrib["x"])
        spans.setdefault(float(label.attrib["y"]), []).append((left, left + 6.6 * len(label.text or "")))
    for row in spans.values():
        for (_, end), (begin, _) in zip(sorted(row), sorted(row)[1:], strict=False):
            assert end <= begin


def test_the_contradiction_is_marked_with_a_word_and_not_by_colour_alone() -> None:
    operations = [an_operation(0, 1, 0, 5 * MS), an_operation(4, 2, 9 * MS, 12 * MS, f="read")]
    svg = ET.fromstring(timeline_svg(operations, (), end_ns=SECOND))
    texts = ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]
    assert [text for text in texts if "contradiction" in text] == ["✗ contradiction: read x → 4"]


def test_a_long_wait_is_cut_short_and_its_true_length_is_written() -> None:
    operations = [an_operation(i, 1, i * 10 * MS, i * 10 * MS + 5 * MS) for i in range(5)]
    operations.append(an_operation(9, 2, 7 * SECOND, 7 * SECOND + 5 * MS, f="read"))
    svg = timeline_svg(operations, (), end_ns=9 * SECOND)
    assert "// 6.96\u00a0s //" in svg
    left = boxes(svg)
    assert left[4][0] - left[0][0] > 300, "the busy part keeps a third of the width"


def test_an_open_operation_reaches_to_the_edge() -> None:
    operations = [an_operation(0, 1, 0, None, outcome="info"), an_operation(2, 2, MS, 2 * MS, f="read")]
    assert boxes(timeline_svg(operations, (), end_ns=SECOND))[0][1] == 1000.0


def test_faults_that_were_on_are_shaded_and_named() -> None:
    operations = [an_operation(0, 1, 15 * SECOND, 15 * SECOND + MS), an_operation(2, 2, 16 * SECOND, 16 * SECOND + MS)]
    svg = timeline_svg(operations, summarize_faults(fault_lines()), end_ns=60 * SECOND)
    assert "partition-leader n3" in svg
    assert "partition-halves" not in svg, "it was over before"


def test_only_as_many_operations_are_drawn_as_an_eye_can_follow() -> None:
    operations = [an_operation(i, i % 3, i * MS, i * MS + MS // 2) for i in range(OPERATIONS_MAX + 20)]
    drawn = boxes(timeline_svg(operations, (), end_ns=SECOND))
    assert sorted(drawn) == list(range(20, OPERATIONS_MAX + 20))


def test_the_text_timeline_is_in_order_of_invocation_and_marks_the_contradiction() -> None:
    operations = [
        an_operation(3, 2, 9 * MS, None, outcome="info"),
        an_operation(0, 1, 0, 5 * MS),
        an_operation(4, 3, 20 * MS, 25 * MS, f="read"),
    ]
    assert text_timeline(operations) == (
        "     0.000 .. 0.005 s     process 1 at n1    write x 0",
        "     0.009 .. (open)      process 2 at n1    write x 3 → ?",
        "✗    0.020 .. 0.025 s     process 3 at n1    read x → 4   ← contradiction",
    )
