"""The self-test of a run: altered reads must be refused, and a model that refuses nothing must be found out."""

from __future__ import annotations

from random import Random

from checker.bite import COPIES, check_bite
from checker.history import History
from checker.model import Model
from checker.models import MODELS
from checker.records import HistoryLine, LineType, Validity


def history_of(*calls: tuple[int, str, int | None]) -> History:
    """Operations one after the other: (process, f, value)."""
    lines: list[HistoryLine] = []
    for process, f, value in calls:
        for kind in (LineType.INVOKE, LineType.OK):
            argument = None if f == "read" and kind is LineType.INVOKE else value
            index = len(lines)
            lines.append(
                HistoryLine(index=index, time_ns=index, process=process, type=kind, f=f, key="r1", value=argument)
            )
    return History(lines)


WRITES_AND_READS = history_of(*[step for n in range(1, 9) for step in ((0, "write", n), (1, "read", n))])


def test_every_altered_copy_of_a_sequential_history_is_refused() -> None:
    """Issue #3, bite test: with unique values each altered read is a contradiction."""
    result = check_bite(WRITES_AND_READS, MODELS["register"], reads=("read",), random=Random("bite"))
    assert result.validity is Validity.VALID
    assert result.evidence.figures == {"copies": COPIES, "refused": COPIES}


def test_a_model_that_accepts_everything_is_toothless() -> None:
    """The planted bug of this check."""
    lenient: Model[int] = Model(name="anything", initial=0, step=lambda state, operation: state)
    result = check_bite(WRITES_AND_READS, lenient, reads=("read",), random=Random("bite"))
    assert (result.validity, result.anomaly) == (Validity.VACUOUS, "toothless")


def test_the_same_draws_give_the_same_result() -> None:
    """Verdicts are pure functions of the run directory."""
    results = [
        check_bite(WRITES_AND_READS, MODELS["register"], reads=("read",), random=Random("again")) for _ in range(2)
    ]
    assert results[0] == results[1]


def test_where_nothing_can_be_altered_nothing_is_claimed() -> None:
    """A single value was read: there is no stale one to put in its place."""
    result = check_bite(
        history_of((0, "write", 1), (1, "read", 1)), MODELS["register"], reads=("read",), random=Random(1)
    )
    assert result.validity is Validity.VALID
    assert result.evidence.figures == {"copies": 0, "refused": 0}
    assert "no read could be altered" in result.evidence.summary
