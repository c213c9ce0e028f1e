"""Every accepted form of ragged numbers and texts gives the same result."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import skipthink

RATIONALES = ["One. Two. Three.", "A is 3. B is 4. C is 5. So 12.", "Yes. No."]
LOSSES = [[0.1, 2.0, 0.1], [1.0, 0.1, 0.1, 0.2], [0.5, 0.4]]
CONDITIONED = [[[x, x / 2] for x in row] for row in LOSSES]
EXPECTED = skipthink.chunk(RATIONALES, LOSSES, 2, 0.0, method="optimal").boundaries.tolist()
FLAT, OFFSETS = np.concatenate([np.asarray(row) for row in LOSSES]), np.asarray([0, 3, 7, 9])


def sliced(kind):
    """A slice whose offsets do not start at 0."""
    return pa.array([[9.0, 9.0], *LOSSES, [9.0]], type=kind(pa.float64())).slice(1, 3)


FORMS = {
    "lists": LOSSES,
    "arrays": [np.asarray(row) for row in LOSSES],
    "float32 arrays": [np.asarray(row, dtype=np.float32) for row in LOSSES],
    "pair": (FLAT, OFFSETS),
    "pair, int32 offsets": (FLAT, OFFSETS.astype(np.int32)),
    "pair, offsets from above 0": (np.concatenate([[9.0, 9.0], FLAT]), OFFSETS + 2),
    "pair, strided values": (np.repeat(FLAT, 2)[::2], OFFSETS),
    "arrow list": pa.array(LOSSES),
    "arrow large list": pa.array(LOSSES, type=pa.large_list(pa.float64())),
    "arrow float32": pa.array(LOSSES, type=pa.list_(pa.float32())),
    "arrow slice": sliced(pa.list_),
    "arrow large slice": sliced(pa.large_list),
    "arrow chunks": pa.chunked_array([pa.array(LOSSES[:1]), pa.array(LOSSES[1:])]),
    "polars": pl.Series(LOSSES),
    "pandas": pd.Series(LOSSES, dtype=pd.ArrowDtype(pa.list_(pa.float64()))),
    "pandas objects": pd.Series(LOSSES),
    "pair, both single": (FLAT.astype(np.float32), OFFSETS.astype(np.int32)),
    "pair, big-endian": (FLAT.astype(">f8"), OFFSETS.astype(">i4")),
    "pair, unsigned offsets": (FLAT, OFFSETS.astype(np.uint32)),
    "pair, half floats": (FLAT.astype(np.float16), OFFSETS),
}


@pytest.mark.parametrize("losses", FORMS.values(), ids=FORMS)
def test_losses(losses):
    assert skipthink.chunk(RATIONALES, losses, 2, 0.0, method="optimal").boundaries.tolist() == EXPECTED


def test_read_only_arrays():
    values = FLAT.copy()
    values.flags.writeable = False
    assert (
        skipthink.chunk(RATIONALES, (values, OFFSETS), 2, 0.0, method="optimal").boundaries.tolist()
        == EXPECTED
    )


def test_whole_numbers_are_losses_too():
    whole = skipthink.chunk(None, [[1, 2, 3]], 2, 0.0)
    assert whole.objective.tolist() == skipthink.chunk(None, [[1.0, 2.0, 3.0]], 2, 0.0).objective.tolist()


CONDITIONED_FORMS = {
    "lists": CONDITIONED,
    "arrays": [np.asarray(row) for row in CONDITIONED],
    "pair": (np.concatenate([np.asarray(row) for row in CONDITIONED]), OFFSETS),
    "arrow": pa.array(CONDITIONED),
    "arrow slice": pa.array([[[9.0, 9.0]], *CONDITIONED]).slice(1),
    "arrow fixed size": pa.array(CONDITIONED, type=pa.list_(pa.list_(pa.float64(), 2))),
    "polars": pl.Series(CONDITIONED),
}


@pytest.mark.parametrize("losses", CONDITIONED_FORMS.values(), ids=CONDITIONED_FORMS)
def test_stage_conditioned_losses(losses):
    expected = skipthink.chunk(RATIONALES, CONDITIONED, 2, 0.0, method="optimal")
    found = skipthink.chunk(RATIONALES, losses, 2, 0.0, method="optimal")
    assert found.boundaries.tolist() == expected.boundaries.tolist()
    assert found.objective.tolist() == expected.objective.tolist()


def test_rectangular_arrays():
    square = np.random.default_rng(0).random((5, 6))
    assert np.array_equal(
        skipthink.chunk(None, square, 3).boundaries, skipthink.chunk(None, square.tolist(), 3).boundaries
    )
    cube = np.random.default_rng(0).random((5, 6, 3))
    assert np.array_equal(
        skipthink.chunk(None, cube, 3).boundaries, skipthink.chunk(None, cube.tolist(), 3).boundaries
    )


def test_weights_with_other_offsets_than_the_losses():
    weights = [[1, 2, 3], [4, 5, 6, 7], [8, 9]]
    plain = skipthink.chunk(None, LOSSES, 2, 0.0, n_tokens=weights)
    shifted = skipthink.chunk(None, (np.concatenate([[9.0], FLAT]), OFFSETS + 1), 2, 0.0, n_tokens=weights)
    assert shifted.objective.tolist() == plain.objective.tolist()


TEXT_FORMS = {
    "list": RATIONALES,
    "tuple": tuple(RATIONALES),
    "arrow": pa.array(RATIONALES),
    "arrow large": pa.array(RATIONALES, type=pa.large_string()),
    "arrow view": pa.array(RATIONALES, type=pa.string_view()),
    "arrow slice": pa.array(["x. y.", *RATIONALES, "z"]).slice(1, 3),
    "arrow chunks": pa.chunked_array([RATIONALES[:1], RATIONALES[1:]]),
    "polars": pl.Series(RATIONALES),
    "pandas": pd.Series(RATIONALES),
    "numpy objects": np.asarray(RATIONALES, dtype=object),
    "steps": [skipthink.split_steps(text) for text in RATIONALES],
}


@pytest.mark.parametrize("rationales", TEXT_FORMS.values(), ids=TEXT_FORMS)
def test_rationales(rationales):
    found = skipthink.chunk(rationales, LOSSES, 2, 0.0, method="optimal")
    assert found.boundaries.tolist() == EXPECTED
    assert ["".join(found[row]) for row in range(3)] == RATIONALES


def test_datasets_columns():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"rationale": RATIONALES, "losses": LOSSES})
    found = skipthink.chunk(data["rationale"], data["losses"], 2, 0.0, method="optimal")
    assert found.boundaries.tolist() == EXPECTED


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("offsets_type", [np.int32, np.int64])
@pytest.mark.parametrize("values_type", [np.float32, np.float64])
def test_arrays_are_borrowed_not_copied(values_type, offsets_type):
    from skipthink.core.ragged import to_ragged

    values, offsets = FLAT.astype(values_type), OFFSETS.astype(offsets_type)
    values.flags.writeable = offsets.flags.writeable = False
    ragged = to_ragged("losses", (values, offsets))
    assert (address(ragged.values), address(ragged.offsets)) == (address(values), address(offsets))
    assert (ragged.values.dtype, ragged.offsets.dtype) == (values_type, offsets_type)


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
@pytest.mark.parametrize("number", [pa.float32(), pa.float64()])
@pytest.mark.parametrize("start", [0, 1])
def test_arrow_is_borrowed_not_copied(kind, number, start):
    from skipthink.core.ragged import to_ragged

    array = pa.array([[9.0], *LOSSES], type=kind(number)).slice(start)
    ragged = to_ragged("losses", array)
    offsets = array.buffers()[1].address + start * ragged.offsets.itemsize
    assert address(ragged.values) == array.values.buffers()[1].address
    assert address(ragged.offsets) == offsets


def test_polars_and_rectangles_are_borrowed_not_copied():
    from skipthink.core.ragged import to_ragged

    series = pl.Series(LOSSES)
    # two views of the same data, where a copy would lie elsewhere each time
    views = [to_ragged("losses", series), to_ragged("losses", series)]
    assert address(views[0].values) == address(views[1].values)
    assert address(views[0].offsets) == address(views[1].offsets)
    square = np.ones((5, 6), dtype=np.float32)
    assert address(to_ragged("losses", square).values) == address(square)


def test_layouts_that_need_a_copy_give_the_same():
    square = np.random.default_rng(0).random((5, 6))
    expected = skipthink.chunk(None, square, 3, method="optimal").boundaries.tolist()
    for form in (
        np.asfortranarray(square),
        np.repeat(square, 2, axis=1)[:, ::2],
        square.astype(">f8"),
        square[::-1][::-1],
    ):
        assert skipthink.chunk(None, form, 3, method="optimal").boundaries.tolist() == expected


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    from skipthink.core.ragged import to_ragged

    values, offsets = torch.tensor(FLAT, dtype=torch.float32), torch.tensor(OFFSETS)
    found = skipthink.chunk(RATIONALES, (values, offsets), 2, 0.0, method="optimal")
    assert found.boundaries.tolist() == EXPECTED
    ragged = to_ragged("losses", (values, offsets))
    assert (address(ragged.values), address(ragged.offsets)) == (values.data_ptr(), offsets.data_ptr())
    rows = [torch.tensor(row) for row in LOSSES]
    assert skipthink.chunk(RATIONALES, rows, 2, 0.0, method="optimal").boundaries.tolist() == EXPECTED


def test_chunking_object():
    found = skipthink.chunk(RATIONALES, LOSSES, 2, 0.0)
    assert len(found) == 3
    assert found.boundaries.dtype == np.int64
    assert found.boundaries.shape == (3, 3)
    assert found.objective.dtype == found.initial_objective.dtype == np.float64
    table = found.to_arrow()
    assert table["boundaries"].to_pylist() == found.boundaries.tolist()
    assert table["chunks"].to_pylist() == [found[row] for row in range(3)]
    assert found[-1] == found[2]
    with pytest.raises(IndexError):
        found[3]


def test_average_chunks_need_no_losses():
    found = skipthink.chunk(RATIONALES, None, 2, method="average")
    assert found[1] == ["A is 3. B is 4. ", "C is 5. So 12."]
    assert np.isnan(found.objective).all()


def test_no_rows():
    assert skipthink.chunk([], [], 3).boundaries.shape == (0, 4)
    assert len(skipthink.split_steps_batch([])) == 0
