"""Processes that train together on CPUs, and the weights that they save."""

import os
import subprocess
import sys

from safetensors.torch import load_file


def torchrun(*arguments, n_ranks=2, check=True):
    """Runs a script, or a module after `-m`, in processes that torchrun starts; what they wrote, and how they ended."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            str(n_ranks),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def largest_difference(left, right):
    """Of any weight of the students that two trainings saved, which must name the same weights."""
    left, right = (
        load_file(left / "model" / "model.safetensors"),
        load_file(right / "model" / "model.safetensors"),
    )
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)
