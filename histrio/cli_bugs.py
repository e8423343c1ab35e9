"""`histrio bugs score`: one line for each bug as it comes, the table at the end."""

from __future__ import annotations

from pathlib import Path

from histrio.bug_score import BugScore, score_text
from histrio.cli_call import Call
from histrio.cli_print import json_text

__all__ = ["bug_scores"]


def bug_scores(call: Call, names: tuple[str, ...], seeds: tuple[int, int], plans: Path, *, as_json: bool) -> int:
    """Score the bugs and print the kill matrix. Gives the exit code."""
    call.stage = "scoring the planted bugs"
    scores: list[BugScore] = []
    for score in call.services.score_bugs(names, range(seeds[0], seeds[1] + 1), plans):
        scores.append(score)
        call.say(f"{score.name}: {score.found} of {score.seeds}")
    call.answer(json_text(scores) if as_json else score_text(scores))
    return 0 if all(score.passed for score in scores) else 1
