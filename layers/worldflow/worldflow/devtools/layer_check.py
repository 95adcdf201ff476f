"""`python -m worldflow.devtools.layer_check CONTENT TARGET SOURCE` imports the workflows of a layer as functions will.

layers/Makefile runs it when the layer of workflows is built, before anything is deployed. CONTENT is the layer's folder
`python`, TARGET what it is built for, such as python3.13-arm64, and SOURCE the folder that it is built from. Modules
can import only what a function has: the standard library, this layer, the engine's layer, and boto3. The build stops
with the file and line of each module that fails.

Dependencies are imported from the layer if this machine can load them, and otherwise from this Python. Those that it
does not have are named as not checked.
"""

from __future__ import annotations

import importlib
import importlib.abc
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

PLACE = "layers/workflows"
"""SOURCE, in a project."""

RUNTIME = {"awslambdaric", "boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}
"""Modules that Lambda's Python runtime brings."""

REGION = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
"""Lambda sets a region, without which boto3 makes no client."""


class OnlyWhatFunctionsHave(importlib.abc.MetaPathFinder):
    """Takes the place of other finders, and finds no top-level module that a function does not have.

    It raises nothing: libraries ask for optional modules with `importlib.util.find_spec`.
    """

    def __init__(self, names: set[str], finders: Sequence[Any]) -> None:
        self.names = names
        self.finders = finders

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is None and name not in self.names:
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next(filter(None, found), None)

    def find_distributions(self, context: metadata.DistributionFinder.Context) -> Iterator[metadata.Distribution]:
        """What `importlib.metadata` asks each finder for."""
        for finder in self.finders:
            if find := getattr(finder, "find_distributions", None):
                yield from find(context)


def machine() -> str:
    """What layers for this machine are called."""
    architecture = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    system = "" if sys.platform == "linux" else f"{sys.platform}-"
    return f"{system}python{sys.version_info.major}.{sys.version_info.minor}-{architecture}"


def modules_in(content: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in content.iterdir() if path.suffix != ".dist-info"}


def modules_of_the_engine(requirements: Path) -> set[str]:
    """The top-level modules of the distributions that the engine's layer pins."""
    pinned = {_normal(name) for name in re.findall(r"^([\w.-]+)==", requirements.read_text(), re.M)}
    installed = metadata.packages_distributions().items()
    return {module for module, distributions in installed if pinned & set(map(_normal, distributions))} | {"worldflow"}


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def failures(name: str) -> Iterator[tuple[str, BaseException]]:
    """The modules of a package that cannot be imported, and why."""
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        yield name, error
        return
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        yield from failures(found.name)


def described(name: str, error: BaseException, root: Path, own: set[str]) -> str:
    """One line: the last place in the project's own modules that the error passed, and what to do about a missing
    dependency.
    """
    path, line = name.replace(".", "/"), 1
    frames = [(frame.filename, frame.lineno or 1) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno or 1))
    for filename, number in frames:
        file = Path(filename)
        if file.is_relative_to(root) and file.relative_to(root).parts[0].removesuffix(".py") in own:
            path, line = str(file.relative_to(root)), number
    advice = ""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] not in own:
        advice = f": the functions do not have it; add its distribution to {PLACE}/requirements.txt"
    return f"{PLACE}/{path}:{line}: {type(error).__name__}: {error}{advice}"


def is_unchecked(error: BaseException, dependencies: set[str]) -> bool:
    """Whether an import failed only because this Python does not have a dependency that the layer has."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in dependencies


def without_queues(template: Path) -> Iterator[str]:
    """What is wrong with the steps that were imported: their queue is not in the template."""
    from worldflow.engine.workflow.definitions import known_steps

    text = template.read_text() if template.is_file() else None
    for step in known_steps() if text is not None else ():
        if step.queue and f"-steps-{step.queue}.fifo" not in (text or ""):
            yield (
                f"{PLACE}: step {step.name!r} needs the step queue {step.queue!r}, which {template.name} does not "
                f"have: add it as docs/guide/queues.md shows, or remove queue={step.queue!r}"
            )


def main() -> None:
    content, target = Path(sys.argv[1]).resolve(), sys.argv[2]
    source = Path(sys.argv[3]).resolve()
    is_loadable = target == machine()
    in_the_layer = modules_in(content)
    allowed = modules_of_the_engine(source.parent / "worldflow/requirements.txt") | in_the_layer | RUNTIME
    root = content if is_loadable else source
    sys.path[:] = [str(root), *(path for path in sys.path if Path(path).resolve() not in (Path.cwd(), source))]
    sys.meta_path[:] = [OnlyWhatFunctionsHave(allowed | sys.stdlib_module_names, sys.meta_path[:])]
    sys.dont_write_bytecode = True
    os.environ.update({name: os.environ.get(name, value) for name, value in REGION.items()})
    own = {module.name for module in pkgutil.iter_modules([str(source)])}
    found = [failure for name in sorted(own) for failure in failures(name)]
    unchecked = [] if is_loadable else [one for one in found if is_unchecked(one[1], in_the_layer - own)]
    for name, error in unchecked:
        print(f"Not checked: {name}: {error}. The layer has it for {target}, this Python has not.", file=sys.stderr)
    faults = [described(*one, root, own) for one in found if one not in unchecked]
    if faults := faults or list(without_queues(source.parent.parent / "template.yaml")):
        sys.exit("\n".join(dict.fromkeys(faults)))  # once, however many modules import the one that fails


if __name__ == "__main__":
    main()
