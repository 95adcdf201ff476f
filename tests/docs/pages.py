"""The pages of the documentation, and the code on them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PROJECT = Path(__file__).parents[2]


def blocks(page: str, language: str = "python") -> list[str]:
    """The blocks of code in this language on a page, which is named by its path in the project."""
    return re.findall(rf"```{language}\n(.*?)```", (PROJECT / page).read_text(), re.DOTALL)


def module(tmp_path: Path, *code: str) -> Any:
    """Imports blocks of code as one module."""
    path = tmp_path / f"page_{abs(hash(code))}.py"
    path.write_text("\n\n".join(code))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded
