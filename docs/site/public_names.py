"""The packages whose public names are the Python interface; each has a place in docs/reference/python."""

PACKAGES = (
    "skipthink",
    "skipthink.answers",
    "skipthink.data",
    "skipthink.evaluation",
    "skipthink.inspection",
    "skipthink.own_answers",
    "skipthink.plots",
    "skipthink.reference",
    "skipthink.scoring",
    "skipthink.skipping",
    "skipthink.stream",
    "skipthink.student",
    "skipthink.tasks",
    "skipthink.teacher",
    "skipthink.testbed",
    "skipthink.training",
)
