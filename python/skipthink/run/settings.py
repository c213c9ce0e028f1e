"""The recipe's words as settings of training and evaluation: of each method, what it depends on and nothing else.

Stages are kept and reused by these settings, so one too many trains a student anew for nothing.
"""

from __future__ import annotations

from typing import Any

from skipthink.run.recipe import Recipe
from skipthink.training.method_table import METHODS

SAME_NAMES = {
    "gradient_accumulation_steps",
    "learning_rate",
    "warmup_steps",
    "weight_decay",
    "adam_beta2",
    "max_grad_norm",
    "bf16",
    "fp16",
    "activation_checkpointing",
    "lora",
    "loss_norm",
    "batching",
    "max_item_tokens",
    "long_items",
    "save_steps",
    "report_to",
    "fsdp",
    "fsdp_config",
    "deepspeed",
}
"""Keys of a recipe's training section that `train_method` knows by the same name."""

BASELINE_NAMES = {
    "truncate",
    "truncate_of",
    "loss_on",
    "remove_per_epoch",
    "remove_from_epoch",
    "remove_all_beyond",
    "removal_smoothing",
    "reset_optimizer",
}
"""Those that only the baselines take."""


def training_settings(recipe: Recipe, method: str) -> dict[str, Any]:
    """Settings of `train_method`."""
    spec, values = METHODS[method], recipe.training.of(method)
    settings: dict[str, Any] = {
        "num_train_epochs": values.epochs,
        "max_steps": -1 if values.max_steps is None else values.max_steps,
        "per_device_train_batch_size": values.batch_size,
        "lr_scheduler_type": values.lr_scheduler,
        "save_strategy": "steps",
        "rules": step_rules(recipe),
    }
    settings |= values.model_dump(include=SAME_NAMES)
    if spec.scheme == "chunkwise":
        settings["chunk_dropout"] = values.chunk_dropout
    if spec.searches:
        settings |= _search_settings(recipe, method)
        settings |= recipe.chunks.model_dump(include={"research_every", "score_batch_tokens"})
    if spec.skips:
        settings |= {"skip_weight": values.skip_weight, "thought": values.thought}
    if spec.baseline is not None:
        settings |= values.model_dump(include=BASELINE_NAMES)
    return settings


def evaluation_settings(recipe: Recipe, method: str) -> dict[str, Any]:
    """Settings of `evaluate`."""
    values = recipe.evaluation.model_dump(exclude={"split"})
    chunking = held_out_chunking(recipe, method)
    return {**values, **recipe.tolerances, "chunking": chunking, "rules": step_rules(recipe)}


def held_out_chunking(recipe: Recipe, method: str) -> dict[str, Any]:
    """How held-out rationales are cut, as the method cuts those it trains on: see `EvaluationSettings.chunking`."""
    if not METHODS[method].searches:
        return {"method": "average"}
    settings = _search_settings(recipe, method)
    return {"method": settings.pop("chunk_method"), **settings}


def search_method(recipe: Recipe, method: str) -> str:
    """The search that cuts a method's chunks: one of its own, or the recipe's."""
    return METHODS[method].search or recipe.chunks.method


def step_rules(recipe: Recipe) -> str | tuple[str, ...]:
    """How rationales are split into steps."""
    rules = recipe.chunks.rules
    return rules if isinstance(rules, str) else tuple(rules)


def _search_settings(recipe: Recipe, method: str) -> dict[str, Any]:
    """How a method that searches cuts rationales."""
    chunks = recipe.chunks
    found = chunks.model_dump(include={"objective", "eta", "scope", "min_steps"})
    return {**found, "chunk_method": search_method(recipe, method), "score_stages": chunks.stages}
