"""The command line: each module adds its commands to `app`."""

from skipthink.cli import files, inspection, runs, tasks, teaching
from skipthink.cli.app import app

__all__ = ["app", "files", "inspection", "runs", "tasks", "teaching"]
