"""A run: the stages of a recipe in one folder, each finished once, resumed where it was killed.

Floors, from below: `state` (what a folder remembers), `stages` (the graph), `prepare`, `work` (what
stages do), `scheduler` (processes), `run` (all of it).
"""
