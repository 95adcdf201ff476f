"""Finds in the text of a module what its workflows must not do, because it cannot be replayed or does nothing.

It reads, and imports nothing of what it reads. It looks into the functions with `@workflow`, and from there into the
functions and classes of the same module that they use. Steps may do anything, and so may code that no workflow uses.
A comment `# worldflow: allow` on a line says that it is meant to be so. Options of steps that are deprecated are hints.

`clashes` finds workflows and steps that share a name, in one module or in several.
"""

from worldflow.determinism.analysis import check
from worldflow.determinism.definitions import clashes
from worldflow.determinism.findings import Finding, Report

__all__ = ["Finding", "Report", "check", "clashes"]
