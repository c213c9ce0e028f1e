"""The benchmarks as tests: each call runs once and its result is checked; `--benchmark-enable` times them too."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

IMPLEMENTATIONS = {"reference": None, "1 thread": 1, "all threads": None}


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request):
    return request.param


@pytest.fixture
def compare(benchmark, implementation):
    """compare(group, rows, reference, core): times one implementation and returns (of the reference, of ours) on
    the same few rows, for the test to compare.

    `reference(rows)` and `core(rows, num_threads)` take the number of rows to work on. Rows are (few, many): the
    reference gets the few. Where nothing is timed, ours gets few rows more.
    """

    def run(group, rows, reference, core):
        few, many = rows
        if benchmark.disabled:
            many = 2 * few
        is_reference = implementation == "reference"
        benchmark.group = group
        benchmark.name = implementation
        benchmark.extra_info["rows"] = few if is_reference else many
        if is_reference:
            return benchmark(reference, few), core(few, 1)
        benchmark(core, many, IMPLEMENTATIONS[implementation])
        return reference(few), core(few, IMPLEMENTATIONS[implementation])

    return run
