"""The gate soft: against an oracle that scores one prompt at a time; thresholds, kills and refusals."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from skipthink.exceptions import DataError
from skipthink.scoring import ChunkOptions
from skipthink.skipping import SkipOptions, soft
from skipthink.skipping.soft import Orders, make_soft_data
from skipthink.student.student import Student

M = 3


def arguments_of(wavering, out, **options):
    folder, samples = wavering
    boundaries = np.asarray(pq.read_table(folder / "chunks.parquet")["boundaries"].to_pylist())
    boundaries[1] = [0, 1, 1, 3]  # an empty chunk in the middle
    return {
        "judges": [folder / "model"], "samples": samples, "boundaries": boundaries, "out": out,
        "options": SkipOptions(gate="soft", **options), "chunks": ChunkOptions(M=M),
    }  # fmt: skip


def order_one_by_one(wavering, boundaries):
    """The formula as it is written: a sample, a set, a chunk, a prompt at a time."""
    student = Student.load(wavering[0] / "model", n_chunks=M)
    encoded, markers = student.encode(wavering[1]), student.markers

    def token_losses(prompt, target):
        with torch.inference_mode():
            logits = student.model(input_ids=torch.tensor([[*prompt, *target]])).logits[0].double()
        places = range(len(prompt) - 1, len(prompt) + len(target) - 1)
        return [
            -torch.log_softmax(logits[place], -1)[token].item()
            for place, token in zip(places, target, strict=True)
        ]

    found = []
    for row in range(len(encoded)):
        cuts, ids = encoded.step_tokens[row], encoded.rationale[row].tolist()
        chunks = {m: ids[cuts[boundaries[row, m - 1]] : cuts[boundaries[row, m]]] for m in range(1, M + 1)}
        question = encoded.question[row].tolist()

        def behind(chunk, out, kept, chunks=chunks, question=question, row=row):
            losses = []
            for m in [*range(chunk + 1, M + 1), 0]:
                if m and (m in kept or not chunks[m]):
                    continue
                before = [
                    token
                    for k in range(1, m or M + 1)
                    for token in (markers.thought_mark if k in out and chunks[k] else chunks[k])
                ]
                mark = markers.stage_marks[m - 1] if m else markers.answer_mark
                losses += token_losses(
                    [*mark, *question, *before], chunks[m] if m else encoded.answer[row].tolist()
                )
            return np.asarray(losses)

        gone, order = [], []
        while len(gone) < sum(map(bool, chunks.values())) - 1:
            tried = []
            for m in (m for m in chunks if chunks[m] and m not in gone):
                rise = behind(m, [*gone, m], gone) - behind(m, gone, gone)
                tried.append((rise.mean(), m, rise.max()))
            mean, m, largest = min(tried)
            gone.append(m)
            order.append((m, mean, largest))
        found.append(order)
    return found


def test_orders_and_rises_are_those_of_the_formula(wavering, tmp_path):
    arguments = arguments_of(wavering, tmp_path)
    make_soft_data(**arguments)
    table = pq.read_table(tmp_path / "soft.parquet").to_pydict()
    for row, expected in enumerate(order_one_by_one(wavering, arguments["boundaries"])):
        n = len(expected)
        assert table["chunk"][row] == [m for m, *_ in expected] + [0] * (M - n)
        assert table["mean_rise"][row][:n] == pytest.approx([mean for _, mean, _ in expected], abs=1e-4)
        assert table["largest_rise"][row][:n] == pytest.approx([most for *_, most in expected], abs=1e-4)
    assert [len(order) for order in order_one_by_one(wavering, arguments["boundaries"])][1] == 1


ORDERS = Orders(
    np.array([[2, 1, 0], [3, 1, 2]]),
    np.array([[0.01, 0.2, 0.0], [0.04, 0.01, 0.3]]),
    np.array([[0.5, 0.5, 0.0], [3.0, 0.1, 0.1]]),
)


@pytest.mark.parametrize(("mean", "largest", "skipped"), [
    (0.05, 2.0, [[0, 1, 0], [0, 0, 0]]),  # the first chunk of the second costs one token too much
    (0.05, 4.0, [[0, 1, 0], [1, 0, 1]]),
    (0.5, 4.0, [[1, 1, 0], [1, 1, 1]]),
    (0.0, 4.0, [[0, 0, 0], [0, 0, 0]]),
])  # fmt: skip
def test_chunks_go_up_to_the_first_that_costs_too_much(mean, largest, skipped):
    assert ORDERS.skipped(mean, largest).tolist() == np.array(skipped, dtype=bool).tolist()


def test_other_thresholds_score_nothing_again_and_a_kill_loses_one_block(wavering, tmp_path, monkeypatch):
    report = make_soft_data(**arguments_of(wavering, tmp_path))
    orders = pq.read_table(tmp_path / "soft.parquet")
    asked = []
    order = soft.order_chunks
    monkeypatch.setattr(
        soft, "order_chunks", lambda teacher, rows: asked.append(rows) or order(teacher, rows)
    )
    loose = make_soft_data(**arguments_of(wavering, tmp_path, max_mean_rise=100.0, max_token_rise=100.0))
    assert asked == []
    assert loose["skipped"] == sum(sum(chunk > 0 for chunk in row) for row in orders["chunk"].to_pylist())
    assert [one["skipped"] for one in loose["thresholds"]] == sorted(
        one["skipped"] for one in loose["thresholds"]
    )
    assert report["gate"] == json.loads((tmp_path / "report.json").read_text())["gate"] == "soft"

    monkeypatch.setattr(soft, "BLOCK_ROWS", 2)

    def die(teacher, rows):
        asked.append(rows)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return order(teacher, rows)

    monkeypatch.setattr(soft, "order_chunks", die)
    again = arguments_of(wavering, tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        make_soft_data(**again)
    make_soft_data(**again)
    assert asked == [[0, 1], [2, 3], [2, 3], [4, 5]]
    assert (
        pq.read_table(tmp_path / "again" / "soft.parquet")
        .drop_columns(["mean_rise", "largest_rise"])
        .equals(orders.drop_columns(["mean_rise", "largest_rise"]))
    )


def test_orders_of_other_chunks_are_refused(wavering, tmp_path):
    arguments = arguments_of(wavering, tmp_path)
    make_soft_data(**arguments)
    with pytest.raises(DataError, match="is of other judges or samples"):
        make_soft_data(**{**arguments, "boundaries": np.tile([0, 1, 2, 3], (6, 1))})
