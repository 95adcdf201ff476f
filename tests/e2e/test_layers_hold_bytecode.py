"""What layers hold: compiled code, so that a cold start compiles nothing, and nothing that only developers run."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

UNCHECKED_HASH = 0b01


@pytest.mark.parametrize("layer", ["EngineLayer", "WorkflowsLayer"])
def test_each_module_has_its_own(project: Project, layer: str) -> None:
    content = project.template.parent / layer / "python"
    sources = list(content.rglob("*.py"))
    assert len(sources) > 3

    for source in sources:
        bytecode = compiled(source)
        assert bytecode.exists(), source
        header = bytecode.read_bytes()[:8]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        # Not compared with a time: what is unpacked from an archive has another one.
        assert int.from_bytes(header[4:], "little") == UNCHECKED_HASH


def test_the_engine_comes_without_what_developers_run(project: Project) -> None:
    engine = project.template.parent / "EngineLayer/python/worldflow"

    assert (engine / "serving/api").is_dir()
    assert not {"devtools", "project"} & {path.name for path in engine.iterdir()}


def compiled(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
