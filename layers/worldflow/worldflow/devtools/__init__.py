"""What a project's Makefile runs on a developer's machine, such as `python -m worldflow.devtools.demo`.

The current folder is the project. The wheel contains this package, the engine's layer does not.
"""
