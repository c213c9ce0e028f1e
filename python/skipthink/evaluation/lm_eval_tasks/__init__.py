"""A task of lm-evaluation-harness that asks a saved student its questions (docs/reference/evaluation.md)."""

from pathlib import Path

PATH = str(Path(__file__).parent)
"""What `--include_path` takes."""
