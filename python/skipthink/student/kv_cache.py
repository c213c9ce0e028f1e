"""Generation with a key-value cache: the beginning of a prompt that was read once is not read again."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from skipthink.core.ragged import Ints
from skipthink.student.generation import Generated

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Uniforms = npt.NDArray[np.float64]


class KvCache:
    """Keys and values of n prompts.

    Prompts are ragged: the tokens of one stand in any columns, in order, and a mask says in which.

    Args:
        model: a student that `supports_kv_cache`, in eval mode.
        n_rows: prompts.
    """

    def __init__(self, model: PreTrainedModel, n_rows: int) -> None:
        from transformers import DynamicCache

        self._model: Any = model
        self._cache: Any = DynamicCache(config=model.config)
        self._mask = torch.zeros((n_rows, 0), dtype=torch.long, device=model.device)
        # a head over a large vocabulary must not be computed for what is only read
        self._options = {"logits_to_keep": 1} if _takes(model, "logits_to_keep") else {}

    @property
    def lengths(self) -> Ints:
        """Tokens read of each prompt, int64 (n_rows,)."""
        lengths: Ints = self._mask.sum(dim=1).cpu().numpy()
        return lengths

    def take(self, rows: Ints) -> KvCache:
        """Copies of some prompts; one may be taken several times."""
        index = torch.from_numpy(rows).to(self._mask.device)
        taken = KvCache(self._model, len(rows))
        taken._mask = self._mask[index]
        for number, layer in enumerate(self._cache.layers):
            if layer.is_initialized:
                taken._cache.update(layer.keys[index], layer.values[index], number)
        return taken

    def read(self, pieces: Sequence[Sequence[int]]) -> int:
        """Reads on, a piece a prompt.

        Args:
            pieces: ids; one may be empty where something of its prompt was read before.

        Returns:
            Tokens read, padding not counted.
        """
        width = max(map(len, pieces), default=0)
        if width == 0:
            return 0
        # padding stands behind: a padded place in front would attend to nothing at all
        ids = torch.zeros((len(pieces), width), dtype=torch.long)
        live = torch.zeros_like(ids)
        for row, piece in enumerate(pieces):
            ids[row, : len(piece)] = torch.as_tensor(piece, dtype=torch.long)
            live[row, : len(piece)] = 1
        self._feed(ids, live)
        return int(live.sum())

    def generate(
        self,
        rows: Ints,
        feeds: Sequence[Sequence[int]],
        *,
        end: int,
        limits: Ints,
        may_be_empty: bool = True,
        temperature: float = 0.0,
        uniforms: Uniforms | None = None,
    ) -> list[Generated]:
        """Continues prompts until the end token or their limits; what is kept stays as it is.

        Args:
            rows: the prompt each continuation starts from; several may start from one.
            feeds: the rest of each one's prompt, at least a token.
            end: id of the end token.
            limits: bounds on the generated tokens, int64 (n,), each at least 1.
            may_be_empty: whether the end token may come first, as in `generation.generate`.
            temperature: 0 for greedy decoding, else sampling at this temperature.
            uniforms: random numbers in [0, 1) that sampling takes, one per token: (n, largest limit).

        Returns:
            One result a continuation. It depends on its own random numbers alone, not on its company.
        """
        kept = self.take(rows)
        kept.read([feed[:-1] for feed in feeds])
        n, width = len(rows), int(limits.max())
        written = np.zeros((n, width), dtype=np.int64)
        n_written, ended = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
        at, open_ = (
            np.arange(n),
            np.ones(n, dtype=np.bool_),
        )  # the continuations in the batch; those not finished
        tokens = np.asarray([feed[-1] for feed in feeds], dtype=np.int64)
        for step in range(width):
            logits = kept._feed(
                torch.from_numpy(tokens)[:, None], torch.from_numpy(open_.astype(np.int64))[:, None]
            )
            if step == 0 and not may_be_empty:
                logits = logits.index_fill(1, torch.tensor([end], device=logits.device), -torch.inf)
            numbers = None if uniforms is None else uniforms[at, step]
            tokens = choose_tokens(logits, temperature, numbers)
            ended[at] |= open_ & (tokens == end)
            goes_on = open_ & (tokens != end)
            written[at[goes_on], step] = tokens[goes_on]
            n_written[at[goes_on]] += 1
            open_ = goes_on & (n_written[at] < limits[at])
            if not open_.any():
                break
            if 2 * open_.sum() <= len(open_):  # carry no finished continuations along
                left = np.flatnonzero(open_)
                kept, at, tokens, open_ = kept.take(left), at[left], tokens[left], open_[left]
        return [Generated(written[row, : n_written[row]], bool(ended[row])) for row in range(n)]

    def _feed(self, ids: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
        """Reads a column or more; returns logits of the last one, (n_rows, vocabulary)."""
        device = self._mask.device
        ids, live = ids.to(device), live.to(device)
        positions = (self._mask.sum(dim=1, keepdim=True) + live.cumsum(dim=1) - 1) * live
        self._mask = torch.cat([self._mask, live], dim=1)
        with torch.inference_mode():
            output = self._model(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
                **self._options,
            )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


def choose_tokens(logits: torch.Tensor, temperature: float, uniforms: Uniforms | None) -> Ints:
    """The next token of each row: the likeliest, or a sampled one where there are random numbers.

    A sampled token is the one whose piece of the cumulated probabilities holds the random number.

    Args:
        logits: (n, vocabulary).
        temperature: above 0 where there are random numbers.
        uniforms: random numbers in [0, 1), (n,).

    Returns:
        Ids, int64 (n,).
    """
    if uniforms is None:
        chosen: Ints = logits.argmax(dim=-1).cpu().numpy()
        return chosen
    if logits.device.type == "mps":  # has no float64
        logits = logits.cpu()
    sums = torch.softmax(logits.double() / temperature, dim=-1).cumsum(dim=-1)
    wanted = torch.from_numpy(uniforms).to(sums.device)[:, None] * sums[:, -1:]
    found: Ints = torch.searchsorted(sums, wanted, right=True)[:, 0].cpu().numpy()
    return np.minimum(found, logits.shape[-1] - 1)


def supports_kv_cache(model: PreTrainedModel) -> bool:
    """Whether parts of a student's keys and values can be kept, which needs plain attention over the whole prefix.

    Sliding windows, recurrent states, encoders and positions that are not given from outside cannot. What a model
    says of itself is tried out: reading in pieces, with gaps, must give what reading at once gives.

    Args:
        model: a student, in eval mode.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if (
        model.config.is_encoder_decoder
        or getattr(model, "_is_stateful", False)
        or not _takes(model, "position_ids")
    ):
        return False
    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=model.config).layers):
        return False
    ids = list(range(6))
    kept = KvCache(model, 2)
    kept.read([ids[:4], ids[:1]])  # the second row has a gap behind its first token
    kept.read([[], ids[1:4]])
    tail = torch.tensor([ids[4:5]] * 2)
    kept._feed(tail, torch.ones_like(tail))
    found = kept._feed(tail + 1, torch.ones_like(tail)).float()
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([ids], device=model.device)).logits[:, -1].float()
    return bool((found - expected).abs().max() <= 0.05 * expected.std())


def _takes(model: PreTrainedModel, name: str) -> bool:
    return name in inspect.signature(model.forward).parameters
