"""The template as `make build` has built it, deployed to a local AWS with one more file of workflows."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.stack import Stack, deploy, parameters_of_this_machine

BUILD = Path(".local-aws/build")


@contextmanager
def deployed(name: str, code: str, parameters: Sequence[str] = ()) -> Iterator[Stack]:
    """
    name: of the module, whose code is `code`.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = Path(temporary)
        shutil.copytree(BUILD, folder / "built")
        (folder / f"built/WorkflowsLayer/python/workflows/{name}.py").write_text(code)
        with LocalAws(folder / "local-aws", enforce_iam=True) as aws:
            given = [*parameters_of_this_machine(), *parameters]
            stack = deploy(aws, folder / "built/template.yaml", parameters=given)
            before = os.environ.copy()
            os.environ.update(aws.env)
            try:
                yield stack
            finally:  # a local AWS may come after this one
                os.environ.clear()
                os.environ.update(before)
