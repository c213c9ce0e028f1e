"""Options of a run on a cluster (docs/how-to/cluster.md)."""

from __future__ import annotations

from dataclasses import dataclass

from skipthink.options import Options, option


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(Options):
    """What each job reserves with `--engine ray`; runs on one machine do not read them."""

    cpus: int | None = option(
        None, "CPUs that a job reserves; null: as many as `threads`", ge=1, affects_results=False
    )
    gpus: float | None = option(
        None,
        "GPUs that a job with a student reserves, or a part of one; null: 1 where the cluster has GPUs, else 0",
        ge=0,
        le=1,
        affects_results=False,
    )
