"""The training methods: chunk-wise training, skip-thinking training and their controls (method §5, §7)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.training.arguments import ItemArguments, make_arguments
    from skipthink.training.method import Method, Needs
    from skipthink.training.options import BudgetOptions, LoraOptions, TrainingOptions
    from skipthink.training.source import ItemSource
    from skipthink.training.train import train_method
    from skipthink.training.trainer import ItemTrainer

__all__ = [
    "BudgetOptions",
    "ItemArguments",
    "ItemSource",
    "ItemTrainer",
    "LoraOptions",
    "Method",
    "Needs",
    "TrainingOptions",
    "make_arguments",
    "train_method",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ItemArguments": "arguments",
        "ItemSource": "source",
        "ItemTrainer": "trainer",
        "BudgetOptions": "options",
        "LoraOptions": "options",
        "Method": "method",
        "Needs": "method",
        "TrainingOptions": "options",
        "make_arguments": "arguments",
        "train_method": "train",
    },
)
