"""bench/scoring_throughput.py runs, checks what it times, and counts what a naive search takes."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "bench" / "scoring_throughput.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("scoring_throughput", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(threads)


def test_it_runs_and_finds_ten_times_fewer_passes(script, monkeypatch, capsys):
    arguments = "--json --size tiny --rows 2 --repeats 1 --peak-tflops 0.1"
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *arguments.split()])
    script.main()
    found = json.loads(capsys.readouterr().out)
    assert found["pass_ratio"] >= 10
    assert found["passes"]["ours"] == 4
    assert found["passes"]["optimal"] == 108
    assert found["sequences"] == 8
    assert set(found["peak_memory_mib"]) == {"ours", "bare_forward", "backbone", "hf_loop"}
    assert min(found["tokens_per_second"].values()) > 0
    assert all(
        found[name] > 0 for name in ("of_bare_forward", "of_backbone", "against_hf_loop", "share_of_peak")
    )


def test_wrong_numbers_are_not_timed(script, student, encoded, markers):
    """The check that what is timed agrees would see a loss that is off."""
    losses = script.score_sequences(student, encoded, markers)
    sequences = script.SequenceSet(encoded, markers, student, conditioned=True)
    script.STAGES = markers.n_chunks
    with torch.inference_mode():
        loop = script.plain_loop(student, sequences)
    script.check(losses, loop, encoded)
    loop[5] = loop[5] + 0.5
    with pytest.raises(AssertionError):
        script.check(losses, loop, encoded)
