import sys
from pathlib import Path

import pytest

from worldflow import WorkflowNotFoundError
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.engine.workflow.registry import import_failures
from worldflow.runtime import load_workflows


def test_it_defines_nothing_and_harms_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "broken.py").write_text(
        "from shop.sound import sound\nfrom worldflow import workflow\n\n"
        "@workflow\nasync def half(): ...\n\nraise SystemExit\n"
    )
    (package / "sound.py").write_text("from worldflow import workflow\n\n@workflow\nasync def sound(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        load_workflows(["shop"])
        assert find_workflow("sound").name == "sound"
        with pytest.raises(WorkflowNotFoundError):
            find_workflow("half")
        assert list(import_failures) == ["shop.broken"]
    finally:
        import_failures.clear()
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]
