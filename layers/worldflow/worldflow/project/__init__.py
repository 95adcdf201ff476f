"""A user's project: its files, its name, how it is made and how it gets a newer Worldflow.

The files of a project are those of this repository, which is a project itself. `hatch_build.py` puts them into the
wheel, as `data/`.
"""
