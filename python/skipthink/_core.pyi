from typing import Literal, TypedDict, final, type_check_only

import numpy as np
import numpy.typing as npt

from skipthink.core.options import Anneal, Greedy

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_AnyInts = npt.NDArray[np.int32] | npt.NDArray[np.int64]
_AnyFloats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]
_Codes = npt.NDArray[np.uint8]

__version__: str
DEBUG_BUILD: bool

@type_check_only
class _BuildInfo(TypedDict):
    version: str
    profile: str
    target: str
    rustc: str
    vector_unit: str
    threads: int

def build_info() -> _BuildInfo: ...
def average_boundaries(n_steps: _Ints, m: int) -> _Ints: ...
def find_boundaries(
    values: _AnyFloats,
    n_stages: int,
    offsets: _AnyInts,
    weights: _AnyFloats | None,
    ends: tuple[_AnyFloats, _AnyInts] | None,
    m: int,
    init: _Ints | None,
    *,
    method: Literal["average", "optimal"] | Greedy | Anneal,
    objective: str,
    balance: float,
    eta: float,
    min_steps: int,
    seed: int,
    first_row: int,
    num_threads: int | None,
) -> tuple[_Ints, _Floats, _Floats, _Bools]: ...
def objective_curves(
    values: _AnyFloats,
    offsets: _AnyInts,
    weights: _AnyFloats | None,
    *,
    max_chunks: int,
    objective: str,
    min_steps: int,
    num_threads: int | None,
) -> _Floats: ...
def plan_items(
    boundaries: _Ints,
    m: int,
    step_tokens: _Ints,
    step_offsets: _Ints,
    n_question: _Ints,
    n_answer: _Ints,
    *,
    scheme: str,
    skipped: _Bools | None,
    thought: str,
    chunk_dropout: float,
    seed: int,
    num_threads: int | None,
) -> tuple[_Ints, _Ints, _Ints, _Ints, _Ints, _Ints, _Ints]: ...
def split_buffer(
    data: npt.NDArray[np.uint8], offsets: _Ints, rules: str, separators: list[str], num_threads: int | None
) -> tuple[_Ints, _Ints]: ...
def split_list(
    texts: list[str], rules: str, separators: list[str], num_threads: int | None
) -> tuple[_Ints, _Ints]: ...

@final
class Ledger:
    def __new__(cls, boundaries: _Ints, m: int) -> Ledger: ...
    @staticmethod
    def from_states(base: _Codes, chunks: _Codes, m: int) -> Ledger: ...
    def next_batch(self, limit: int) -> tuple[_Ints, _Ints]: ...
    def check(self, rows: _Ints, chunks: _Ints, n_right: int) -> None: ...
    def record(self, rows: _Ints, chunks: _Ints, right: _Bools) -> None: ...
    def states(self, rows: _Ints | None) -> _Codes: ...
    def base(self, rows: _Ints | None) -> _Codes: ...
    def stats(self) -> tuple[list[int], list[int], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]: ...
    @property
    def n_chunks(self) -> int: ...
    @property
    def n_settled(self) -> int: ...
    @property
    def asked(self) -> int: ...
    @property
    def done(self) -> bool: ...
    def __len__(self) -> int: ...
