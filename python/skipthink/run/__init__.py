"""A run: the jobs of a recipe in one folder, each finished once, resumed where it was killed.

From below: `recipe` (what is computed), `fingerprints` and `jobs` (the graph), `folder` (what a run remembers),
`prepare`, `work` (what jobs do), `process`, `scheduler` and `ranks` (processes), `report`, `runner` (all of it).
"""
