"""The jobs of a recipe, one after the other in this process."""

from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import parse_recipe
from skipthink.run.work import run_job

SMALL = """
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 9, validation: 3, test: 2}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2}
"""
"""The head of recipes of a few samples and a tiny student."""
PLAIN = """
name: small
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 8, validation: 2, test: 2}}
chunks: {M: 3}
"""
"""A recipe whose jobs are planned, and of which only the first are run."""


def run_jobs(path, recipe, *, leave_out=(), last=None):
    """Runs the jobs of a recipe.

    Args:
        path: an empty folder.
        recipe: its text.
        leave_out: kinds of jobs that are not run.
        last: the kind of the job after which no other is run; None: all are.

    Returns:
        The run folder and the graph.
    """
    folder, parsed = RunFolder(path), parse_recipe(recipe, name="r")
    (folder.path / "logs").mkdir()
    folder.adopt(parsed)
    graph = build_graph(parsed)
    for job in graph:
        if job.kind not in leave_out:
            run_job(folder, graph, job, lambda done, total: None)
        if job.kind == last:
            break
    return folder, graph
