"""Weights of tokens by the student's own probability: by hand, and in the loss of a step."""

import copy

import pytest
import torch
from torch.nn import functional
from training_calls import make_trainer

from skipthink.options import OptionError
from skipthink.training.options import TrainingOptions
from skipthink.training.token_weights import token_weights

NLL = torch.log(torch.tensor([2.0, 4.0, 8.0, 5.0], dtype=torch.float64))  # p = 1/2, 1/4, 1/8; 1/5
ROWS = torch.tensor([0, 0, 0, 1])


@pytest.mark.parametrize(
    ("power", "expected"),
    [
        (1.0, [12 / 7, 6 / 7, 3 / 7, 1.0]),  # 1/2, 1/4, 1/8 over their mean, 7/24
        (-1.0, [3 / 7, 6 / 7, 12 / 7, 1.0]),  # 2, 4, 8 over 14/3
        (0.0, [1.0, 1.0, 1.0, 1.0]),
        (2.0, [48 / 21, 12 / 21, 3 / 21, 1.0]),
    ],
)
def test_weights_by_hand(power, expected):
    found = token_weights(NLL, ROWS, power)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_items_of_a_batch_do_not_meet():
    together = token_weights(NLL, ROWS, -0.5)
    apart = torch.cat([token_weights(NLL[:3], ROWS[:3], -0.5), token_weights(NLL[3:], ROWS[3:] - 1, -0.5)])
    assert torch.equal(together, apart)


def test_items_without_targets_are_passed_over():
    """Item 1 has none: batches of one padding token, or items whose loss is on no token."""
    found = token_weights(NLL[:2], torch.tensor([0, 2]), 1.0)
    assert found.tolist() == [1.0, 1.0]
    assert token_weights(NLL[:0], ROWS[:0], 1.0).shape == (0,)


def test_probabilities_near_zero_do_not_overflow():
    found = token_weights(torch.tensor([800.0, 799.0]), torch.tensor([0, 0]), -2.0)
    assert found.tolist() == pytest.approx([2 / (1 + 2.718281828**-2), 2 / (1 + 2.718281828**2)], rel=1e-5)


def test_no_gradient_flows_through_the_weights():
    nll = NLL.clone().requires_grad_(True)
    weights = token_weights(nll, ROWS, 1.0)
    assert not weights.requires_grad
    (nll * weights).sum().backward()
    assert nll.grad.tolist() == weights.tolist()


@pytest.mark.parametrize("power", [-2.5, 2.5])
def test_powers_out_of_range_are_refused(power):
    with pytest.raises(OptionError, match="token_power"):
        TrainingOptions(token_power=power)


@pytest.mark.slow
@pytest.mark.parametrize("loss_norm", ["batch_tokens", "item"])
def test_the_loss_of_a_step_is_weighted_item_by_item(whole, encoded, tmp_path, loss_norm):
    """Beside the same written with one item at a time."""
    plain = copy.deepcopy(whole.model).eval()
    trainer = make_trainer("base", whole, encoded, tmp_path, token_power=-0.5, loss_norm=loss_norm)
    loader = iter(trainer.get_train_dataloader())
    batch = next(loader)
    trainer.model.eval()
    with torch.no_grad():
        found = float(trainer.compute_loss(trainer.model, batch))
        expected = 0.0
        for ids, labels, mask, denominator in zip(
            batch["input_ids"], batch["labels"], batch["attention_mask"], batch["denominators"], strict=True
        ):
            logits = plain(input_ids=ids[None], attention_mask=mask[None]).logits[0, :-1]
            nll = functional.cross_entropy(logits, labels[1:], reduction="none", ignore_index=-100)
            nll = nll[labels[1:] != -100]
            weights = torch.exp(0.5 * nll)
            expected += float((nll * weights / weights.mean()).sum() / denominator)
    assert found == pytest.approx(expected, rel=1e-5)
