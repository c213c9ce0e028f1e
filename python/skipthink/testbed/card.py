"""The model card of a pre-trained student of the test bed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.io.files import write_text
from skipthink.io.recipes import to_yaml
from skipthink.testbed.options import PretrainRecipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def write_student_card(
    path: Path,
    recipe: PretrainRecipe,
    model: PreTrainedModel,
    *,
    facts: Mapping[str, Any],
    held_out: Mapping[str, float],
) -> None:
    """Writes the card.

    Args:
        path: the README.md to write.
        recipe: what was trained.
        model: the trained student.
        facts: name → value: tokens, steps, loss.
        held_out: family → mean loss on held-out texts, nats per token.
    """
    import yaml

    head = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "apache-2.0",
        "tags": ["skipthink", "test-bed"],
    }
    shares = recipe.corpus.shares
    table = [
        ("parameters", f"{sum(weight.numel() for weight in model.parameters()):,}"),
        ("context in training (tokens)", recipe.corpus.block_tokens),
        *((name, f"{value:,}" if isinstance(value, int) else value) for name, value in facts.items()),
        ("seed of the weights", recipe.seed),
        ("seed of the texts", recipe.corpus.seed),
    ]
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False).strip(),
        "---",
        "",
        f"# {recipe.name}: a student of skipthink's test bed",
        "",
        "A small Llama-type model that has read nothing but primitives made by skipthink: number facts, the letters of "
        "words, single moves of objects, steps in the calendar, single rules, plain sentences. It has seen none of the "
        "test bed's tasks. It is made to be fine-tuned on them, and useless for anything else.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in table),
        "",
        "| primitives | share of the texts | held-out loss (nats per token) |",
        "|---|---|---|",
        *(
            f"| {family} | {shares.get(family, 0.0) / sum(shares.values()):.0%} | {loss:.3f} |"
            for family, loss in held_out.items()
        ),
        "",
        "The recipe, as `skipthink pretrain` read it:",
        "",
        "```yaml",
        to_yaml(recipe).strip(),
        "```",
    ]
    write_text(path, "\n".join(lines) + "\n")
