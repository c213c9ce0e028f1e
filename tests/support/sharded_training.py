"""Trains students in the processes of torchrun, sharded on CPUs: `sharded_training.py FOLDER STUDENT [as-it-is]`.

Reads FOLDER/samples.parquet. Each process writes FOLDER/rank-N.json: losses, and what it held of each student at the end.
`as-it-is` trains once, with accelerate as it is, which does not shard on CPUs.
"""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor
from training_calls import train_by_name

from skipthink.training import train as training

SETTINGS = {"batch_size": 4, "epochs": 2, "save_strategy": "steps", "save_steps": 2, "chunk_dropout": 0.2}
FSDP = {"version": 2, "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]}


class Killed(Exception):
    """Ends a training between two checkpoints."""


def main(folder, student, *, as_it_is):
    """Sharded; then DDP; and sharded, killed and resumed, with checkpoints of both kinds."""
    samples, held, losses = pq.read_table(folder / "samples.parquet"), [], []

    def train(out, progress=None, **options):
        summary = train_by_name("base+ac", student=student, samples=samples, out=folder / out, progress=progress,
                                settings={**SETTINGS, **options})  # fmt: skip
        losses.append(summary["loss"])

    if as_it_is:
        train("as-it-is", fsdp=True, fsdp_config=dict(FSDP))
        return
    shard_on_cpus()
    note_parts(held)
    train("sharded", fsdp=True, fsdp_config=dict(FSDP))
    train("ddp")  # not sharded, although the process has sharded before
    for out, kind in (("resumed-whole", "FULL_STATE_DICT"), ("resumed-shards", "SHARDED_STATE_DICT")):
        options = {"fsdp": True, "fsdp_config": {**FSDP, "state_dict_type": kind}}
        try:
            train(out, kill, **options)
        except Killed:
            assert (folder / out / "checkpoints" / "checkpoint-2" / "skipthink.json").exists()
        torch.distributed.barrier()
        train(out, **options)
    noted = {"held": held, "losses": losses}
    (folder / f"rank-{torch.distributed.get_rank()}.json").write_text(json.dumps(noted), encoding="utf-8")
    torch.distributed.destroy_process_group()


def shard_on_cpus():
    """Has accelerate do on CPUs what it does on accelerators: it takes processes on CPUs for DDP, but torch shards there."""
    begin = AcceleratorState.__init__

    def begin_sharded(self, *args, fsdp_plugin=None, **kwargs):
        begin(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = begin_sharded


def note_parts(held):
    """Has each training note how many tensors its student has, how many are sharded, and the weights this process holds."""
    gather = training.whole_weights

    def note_and_gather(trainer):
        tensors = list(trainer.model.parameters())
        sharded = [tensor for tensor in tensors if isinstance(tensor, DTensor)]
        here = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
        n_weights = sum(tensor.numel() for tensor in here)
        held.append({"tensors": len(tensors), "sharded": len(sharded), "weights": n_weights})
        return gather(trainer)

    training.whole_weights = note_and_gather


def kill(step, _):
    """Kills a training after its third step."""
    if step == 3:
        raise Killed


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), as_it_is="as-it-is" in sys.argv)
