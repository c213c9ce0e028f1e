"""The devices of students: one choice for training, scoring, judging and evaluation."""

from __future__ import annotations

import os
from functools import cache

import torch

from skipthink.exceptions import InvalidInputError

DEVICE_VARIABLE = "SKIPTHINK_DEVICE"
"""Environment variable: "auto" (also unset or empty) for an accelerator where there is one, "cpu" to leave it alone."""

OUT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What errors say that are no `torch.OutOfMemoryError`."""

LEAST_GAIN = 1.2
"""How many times as fast as in float32 a processor must multiply in bfloat16 for it to be worth its rounding."""


def uses_accelerator() -> bool:
    """Whether students run on an accelerator: there is one, and `SKIPTHINK_DEVICE` does not keep them on the CPU.

    Raises:
        InvalidInputError: the variable holds something else.
    """
    wanted = os.environ.get(DEVICE_VARIABLE, "") or "auto"
    if wanted not in ("auto", "cpu"):
        raise InvalidInputError(
            f'{DEVICE_VARIABLE} must be "auto" or "cpu", got {wanted!r}; which GPU is used, CUDA_VISIBLE_DEVICES says'
        )
    return wanted == "auto" and torch.accelerator.is_available()


def choose_device(name: str | None = None) -> torch.device:
    """The device a student runs on.

    Args:
        name: "cpu", "cuda:1", …; None: this process's accelerator where `uses_accelerator`, else the CPU.

    Raises:
        InvalidInputError: no name of a device, or a wrong `SKIPTHINK_DEVICE`.
    """
    if name is not None:
        try:
            return torch.device(name)
        except RuntimeError as error:
            raise InvalidInputError(f"device must be cpu, cuda, cuda:1, …, got {name!r}: {error}") from error
    accelerator = torch.accelerator.current_accelerator() if uses_accelerator() else None
    return torch.device("cpu") if accelerator is None else accelerator


def gains_by_bf16(device: torch.device) -> bool:
    """Whether a device multiplies clearly faster in bfloat16 than in float32: a GPU of 2020 or later, many processors.

    Of a processor it is measured, once in a process, in a fraction of a second: that it has instructions for bfloat16
    does not say that they are fast. Without AMX, some of Intel's take twice as long with them as with float32.
    """
    return has_bf16(device) and (device.type != "cpu" or _bf16_gain() >= LEAST_GAIN)


def has_bf16(device: torch.device) -> bool:
    """Whether a GPU, or a processor (AVX-512 BF16, AMX), multiplies bfloat16 itself; else it is emulated, slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@cache
def _bf16_gain() -> float:
    """How many times as fast a product of the size of a small student's layers is in bfloat16 on this processor."""
    from torch.utils.benchmark import Timer  # takes a third of a second to load, which only who measures pays

    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        rows, weights = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
        timer = Timer(
            "rows @ weights", globals={"rows": rows, "weights": weights}, num_threads=torch.get_num_threads()
        )
        seconds[dtype] = min(timer.timeit(3).mean for _ in range(7))  # the least disturbed of several
    return seconds[torch.float32] / seconds[torch.bfloat16]


def describe_device(device: torch.device) -> str:
    """A device in words, for reports: its type and, where it says so, its model."""
    if device.type != "cuda":
        return device.type
    return f"{device.type} ({torch.cuda.get_device_name(device)})"


def avoid_attention_plans(device: torch.device) -> None:
    """Takes cuDNN out of the kernels that torch chooses attention from; on a CPU nothing changes.

    GPUs of the generations Hopper and Blackwell take cuDNN first, which builds a plan for every new shape, on the host
    and for tens of milliseconds. Here nearly every batch has a width of its own, and in generation every token has. The
    other kernels (flash, memory-efficient) need no plan. The setting holds for the process.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)


def synchronize(device: torch.device) -> None:
    """Waits until a device is idle; otherwise a clock would read when the work was handed over."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def free_memory(device: torch.device) -> None:
    """Frees the memory that torch caches on the device."""
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch ran out of memory; on a CPU, and in libraries of CUDA, it says so in words alone."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def describe_full_memory(error: BaseException) -> str | None:
    """What to tell a user whose device has no memory left.

    Args:
        error: what a forward or backward pass raised, or what was raised from that.

    Returns:
        What failed and what to do; None where the error has another cause.
    """
    cause: BaseException | None = error
    while cause is not None:
        if is_out_of_memory(cause):
            what = " ".join(str(cause).split(". ")[0].split())
            return (
                f"out of memory: {what}; lower batch_size (of training, skip or evaluation), workers, or what else "
                "runs on the device, and give the same command again: what was finished before is kept"
            )
        cause = cause.__cause__ or cause.__context__
    return None


def check_one_device(n_devices: int) -> None:
    """Refuses several devices in one process, because torch would silently spread batches over them.

    Raises:
        InvalidInputError: there are several.
    """
    if n_devices > 1:
        raise InvalidInputError(
            f"{n_devices} devices in one process: start one process per device "
            f"(torchrun --nproc_per_node {n_devices} …), or show it one (CUDA_VISIBLE_DEVICES=0)"
        )
