"""docs/checker.md: its examples run as they stand, its tables are the models' own words, and those are true."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from checker.explain import explain_illegal
from checker.history import Operation, Outcome
from checker.manual import render
from checker.models import MODELS
from checker.partition import Decision, check_operations
from histrio.cli_composition import MODELS_ABOUT
from tests.checker.model_histories import SCRIPTS, small_history


def test_the_examples_of_the_checkers_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "checker.md"
    examples = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "documentation"}
    for example in examples:
        exec(compile(example, str(page), "exec"), names)
    assert len(examples) == 6


def test_the_tables_of_the_models_are_the_models_own_words() -> None:
    """`python -m checker.manual` prints them."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "checker.md").read_text()
    written = page.partition("<!-- models: generated -->\n")[2].partition("<!-- end -->")[0]
    assert written.strip() == render(MODELS).strip()


@pytest.mark.parametrize("name", MODELS)
def test_the_command_lists_what_a_model_says_of_itself(name: str) -> None:
    manual = MODELS[name].manual
    assert manual is not None
    assert manual.about == MODELS_ABOUT[name]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_knows_exactly_the_operations_of_its_manual(name: str) -> None:
    """A word that the manual lacks is refused, with the words that there are."""
    model = MODELS[name]
    assert model.manual is not None
    stranger = Operation(index=0, process=0, f="juggle", outcome=Outcome.INFO, call_order=0, return_order=None)
    refusal = model.problem(stranger) or ""
    assert all(word.f in refusal for word in model.manual.words)
    words = {word.f for word in model.manual.words}
    drawn = {script: SCRIPTS[script].draw for script in SCRIPTS if script.partition(",")[0] == name}
    for script, draw in drawn.items():
        rng = Random(script)
        assert {draw(rng, lambda: 1)[0] for _ in range(200)} <= words


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_contradiction_is_called_by_a_name_of_the_manual(script: str) -> None:
    named = set()
    for seed in range(120):
        model, operations = small_history(script, Random(f"{seed}/{script}"))
        result = check_operations(operations, model)
        if result.decision is Decision.ILLEGAL:
            named.add(explain_illegal(operations, model, result, minimal=seed % 4 == 0)[0])
    assert model.manual is not None
    assert named
    assert named <= set(dict(model.manual.anomalies))
