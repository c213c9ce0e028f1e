"""First weights with which a student can look things up from the start.

"Bob has the …" after "Bob has the red ball." needs two steps of attention: each token must know which tokens stand
in front of it, then a token finds the one that followed the same words. Models of a hundred million parameters grow
such heads ("induction heads", Olsson et al. 2022, arXiv 2209.11895) while they read billions of tokens; a student of
a million parameters had none after 12 million tokens of the corpus (docs/how-to/testbed.md). So the two steps are
written into its first two layers, as a start that training is free to change.
Like "mimetic initialisation" (Trockman and Kolter 2023, arXiv 2305.09828), this sets structure and adds no knowledge:
no word, fact or task is in these weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from skipthink.exceptions import InvalidInputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

N_BACK = 4
"""The heads of the first layer look 1, 2, … tokens back."""

_TOKEN, _REST = 0.12, 0.02  # sizes of an embedding's random coordinates
_NORMED = 5.96  # what its constant one is to be after the first layer's norm
_SHARPNESS = 5.0  # of looking back; 90 % of the attention then rests on the token meant
_MATCH = 1.6  # of looking up
_COPY = 0.24  # of what was found, in units of the residual stream
_QUIET = 0.02  # what the other paths into the residual stream start with, relative to their usual size


def set_lookup_heads(model: PreTrainedModel, seed: int) -> None:
    """Overwrites all weights of a Llama model, in place: random ones, with looking back and looking up in two layers.

    An embedding has a constant (coordinate 0), the token's own coordinates, and room where the first layer writes
    which tokens stand 1 to 4 places back. Heads of the second layer compare these rooms and copy what they find.

    Args:
        model: a Llama student; its width must hold 4 rooms beside the token.
        seed: seeds the random parts.

    Raises:
        InvalidInputError: a model of another architecture, or too few layers, heads or dimensions.
    """
    config = model.config
    width, n_heads = config.hidden_size, config.num_attention_heads
    head = width // n_heads
    room = head * 5 // 8 // 2 * 2
    n_token = width - 1 - N_BACK * room
    if config.model_type != "llama" or config.num_key_value_heads != n_heads:
        raise InvalidInputError(
            "lookup_heads needs a Llama student with as many key as query heads; set it to false"
        )
    if config.num_hidden_layers < 2 or n_heads < N_BACK or n_token < room:
        raise InvalidInputError(
            f"lookup_heads needs 2 layers, {N_BACK} heads and {room + N_BACK * room + 1} dimensions; the student has "
            f"{config.num_hidden_layers}, {n_heads} and {width}: enlarge it, or set lookup_heads to false"
        )
    generator = torch.Generator().manual_seed(seed)
    token = torch.arange(1, 1 + n_token)
    rooms = [torch.arange(1 + n_token + k * room, 1 + n_token + (k + 1) * room) for k in range(N_BACK)]
    summary = torch.randn(room, n_token, generator=generator) / n_token**0.5
    with torch.no_grad():
        _randomise(model, generator)
        _embed(model, token, generator)
        _look_back(model, token, rooms, summary)
        _look_up(model, token, rooms, summary, generator)


def _randomise(model: Any, generator: torch.Generator) -> None:
    """All matrices at random; those that write into the residual stream nearly silent."""
    usual = model.config.hidden_size**-0.5
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            silent = name.endswith(("o_proj.weight", "down_proj.weight"))
            drawn = torch.randn(weight.shape, generator=generator)
            weight.copy_(drawn * usual * (_QUIET if silent else 1.0))


def _embed(model: Any, token: torch.Tensor, generator: torch.Generator) -> None:
    """Embeddings of equal length, or the norm would make the constant differ between tokens."""
    weight: torch.Tensor = model.get_input_embeddings().weight
    weight.copy_(torch.randn(weight.shape, generator=generator) * _REST)
    weight[:, token] *= _TOKEN / _REST
    lengths = weight[:, 1:].norm(dim=1, keepdim=True)
    weight[:, 1:] *= lengths.mean() / lengths
    weight[:, 0] = _NORMED * _rms(len(token), weight.shape[1])
    # else the constant would learn how frequent each token is, and be none any more
    model.model.norm.weight[0] = 0.0


def _look_back(model: Any, token: torch.Tensor, rooms: list[torch.Tensor], summary: torch.Tensor) -> None:
    """First layer: head k sees the token k + 1 back, by position alone, and writes a summary of it into room k."""
    attention = model.model.layers[0].self_attn
    head = attention.head_dim
    as_large_as_the_token = _rms(len(token), model.config.hidden_size)
    fastest = range(min(5, head // 2))  # pairs of rotary dimensions that tell neighbours apart
    frequencies = model.model.rotary_emb.inv_freq.float().cpu()  # radians a place
    for weight in (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight):
        weight.mul_(_QUIET)
    for k, room in enumerate(rooms):
        row = k * head
        for pair in fastest:
            # query and key are constants, turned against each other by as much as k + 1 places turn them back
            angle = -(k + 1) * frequencies[pair]
            attention.k_proj.weight[row + pair, 0] = _SHARPNESS / _NORMED
            attention.q_proj.weight[row + pair, 0] = _SHARPNESS / _NORMED * torch.cos(angle)
            attention.q_proj.weight[row + pair + head // 2, 0] = _SHARPNESS / _NORMED * torch.sin(angle)
        rows = torch.arange(row, row + len(room))
        attention.v_proj.weight[rows[:, None], token] = summary
        attention.o_proj.weight[room, rows] = as_large_as_the_token


def _look_up(
    model: Any,
    token: torch.Tensor,
    rooms: list[torch.Tensor],
    summary: torch.Tensor,
    generator: torch.Generator,
) -> None:
    """Second layer: heads find the token in front of which the same words stood, and copy it."""
    attention = model.model.layers[1].self_attn
    head, width = attention.head_dim, model.config.hidden_size
    n_match = len(rooms[0])
    slow = range(head // 2 - n_match // 2, head // 2)  # pairs that turn little over the length of a problem
    rows_of_match = torch.tensor([*slow, *(pair + head // 2 for pair in slow)])

    def reads(*places_back: int) -> torch.Tensor:
        """What stands so many places back; 0 is the token itself."""
        weight = torch.zeros(n_match, width)
        for k in places_back:
            if k == 0:
                weight[:, token] = summary
            else:
                weight[torch.arange(n_match), rooms[k - 1]] = 1.0
        return weight

    for weight in (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight):
        weight.mul_(_QUIET)
    # "A B … A" → B; "A has the B … A has the" → B; "A B … A, then" → B; and any of the words around
    plans = (
        (reads(0), reads(1)),
        (reads(2), reads(3)),
        (reads(3), reads(1)),
        (reads(0, 1, 2), reads(1, 2, 3)),
    )
    for index in range(model.config.num_attention_heads):
        query, key = plans[index % len(plans)]
        row = index * head
        attention.q_proj.weight[row + rows_of_match] = _MATCH * query
        attention.k_proj.weight[row + rows_of_match] = _MATCH * key
        copied = token[torch.randperm(len(token), generator=generator)[:head]]
        rows = torch.arange(row, row + len(copied))
        attention.v_proj.weight[rows, copied] = 1.0
        attention.o_proj.weight[copied, rows] = _COPY


def _rms(n_token: int, width: int) -> float:
    """Root mean square of an embedding whose constant is `_NORMED` times as large."""
    return _TOKEN * float((n_token / (width - _NORMED**2)) ** 0.5)
