"""The jobs of a recipe, one after the other in this process."""

from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import parse_recipe
from skipthink.run.work import run_job


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
