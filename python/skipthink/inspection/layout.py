"""What lies where in a run folder, for those who write it and those who read it (docs/reference/formats.md)."""

from __future__ import annotations

DONE_FILE, JOBS_FILE, RECIPE_FILE = "done.json", "jobs.json", "recipe.yaml"
REPORT_FILE = "report.html"
STUDY_FILE = "study.json"
"""What a study knows by now, in its folder."""
EVENTS_FILE, LOCK_FILE = "events.jsonl", ".lock"
TRIES_FOLDER = "tries"
"""Where the jobs of a run on a cluster work (`run.tries`)."""

JOBS_SCHEMA = 2
"""The number of the format of `jobs.json`, which says what a folder holds."""

READABLE = {
    "teach": 1,
    "prepare": 1,
    "student": 1,
    "train": 2,
    "skip-data": 2,
    "own-answers": 1,
    "evaluate": 1,
    "choose": 1,
}
"""Per kind of job the newest format number whose files can be read here (`run.fingerprints.FORMATS`)."""

SPLITS = ("train", "validation", "test")


def log_file(job: str) -> str:
    """The output of a job, relative to the run folder."""
    return f"logs/{job.replace('/', '.')}.log"


def progress_file(job: str) -> str:
    """How far a job has come, relative to the run folder."""
    return f"logs/{job.replace('/', '.')}.progress"
