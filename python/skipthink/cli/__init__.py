"""The command line: each module adds its commands to `app`."""

from skipthink.cli import files, inspection, reporting, runs, studies, tasks, teaching
from skipthink.cli.app import app

__all__ = ["app", "files", "inspection", "reporting", "runs", "studies", "tasks", "teaching"]
