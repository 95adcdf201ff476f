"""What the README and the guides say is so: their links lead somewhere, their commands exist, their examples run."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from tests.support.template import TEMPLATE, api_routes
from worldflow.cli import app
from worldflow.determinism import check
from worldflow.engine.history import Event

pytestmark = pytest.mark.one_python

PROJECT = Path(__file__).parents[2]
GUIDE = PROJECT / "docs/guide"
PACKAGE = PROJECT / "layers/worldflow/worldflow"
RUN = [
    page
    for page in sorted(GUIDE.glob("*.md"))
    if (PROJECT / f"tests/docs/test_{page.stem.replace('-', '_')}.py").exists()
]
"""The pages whose code is run in `tests/docs`."""

PAGES = [PROJECT / "README.md", *sorted(PROJECT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text())
    ours = [(page.parent / path if path else page, heading) for path, heading in links if "://" not in path]
    assert [path for path, _ in ours if not path.exists()] == []
    assert [(path, heading) for path, heading in ours if heading and heading not in _headings(path)] == []


def _headings(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# The reader of the tutorial creates the files that it names.
@pytest.mark.parametrize("page", sorted({*PAGES[1:]} - {PROJECT / "docs/tutorial.md"}), ids=lambda page: page.name)
def test_the_files_that_pages_name_exist(page: Path) -> None:
    others = ("tests/world", "layers/workflows/workflows", "starter")
    places = [PROJECT, PACKAGE.parent, PACKAGE, *(PROJECT / other for other in others)]
    named = re.findall(r"`([\w./]+\.py)`", page.read_text())
    known = {path.name for path in PACKAGE.rglob("*.py")}
    assert [path for path in named if path not in known and not any((at / path).exists() for at in places)] == []


def test_the_folders_of_the_map_exist_and_are_all_there_are() -> None:
    table = re.findall(r"^\| (`.*?) \|", (GUIDE.parent / "contributing.md").read_text(), re.MULTILINE)
    told = {name.partition("/")[0] for cell in table for name in re.findall(r"`([a-z_]+/[a-z_/]*)", cell)}
    assert told == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_the_files_that_docstrings_name_exist() -> None:
    """Beside the file, in a folder above it, or by the whole path."""
    missing = []
    for top in ("benchmarks", "functions", "layers", "tests", "tools"):
        for path in (PROJECT / top).rglob("*.py"):
            above = [PACKAGE.parent, *(parent for parent in path.parents if parent.is_relative_to(PROJECT))]
            for named in re.findall(r"`([\w/]+\.py)`", path.read_text()):
                if not any((parent / named).exists() for parent in above):
                    missing.append(f"{path.relative_to(PROJECT)}: {named}")
    assert missing == []


def test_the_architecture_has_every_kind_of_event() -> None:
    table = re.findall(r"^\|.*\|$", (PROJECT / "docs/architecture.md").read_text(), re.MULTILINE)
    told = {name for line in table for name in re.findall(r"`([A-Z]\w+)`", line)}
    assert {kind.event_type for kind in get_args(Event)} - told == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    text = page.read_text()
    makefiles = "".join((PROJECT / name).read_text() for name in ("Makefile", "worldflow.mk", "starter/Makefile"))
    targets = set(re.findall(r"^([a-z-]+):", makefiles, re.MULTILINE))
    assert set(re.findall(r"[`\n]make ([a-z][a-z-]*)", text)) <= targets
    assert set(re.findall(r"python -m worldflow ([a-z]+)", text)) <= _commands()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_replaces_the_parameters_of_samconfig(page: Path) -> None:
    commands = page.read_text().replace("\\\n", "")
    assert re.findall(r"^ *sam (?:build|deploy) .*--parameter-overrides.*", commands, re.MULTILINE) == []


def test_parameters_that_pages_name_are_the_templates() -> None:
    lists = [
        listed for page in PAGES for listed in re.findall(r"parameter_overrides = \[(.*?)\]", page.read_text(), re.S)
    ]
    named = {name for listed in lists for name in re.findall(r'"(\w+)=', listed)}
    assert named <= TEMPLATE["Parameters"].keys()
    assert "OtlpEndpoint" in named


def test_every_command_is_told_of() -> None:
    told = {name for page in PAGES for name in re.findall(r"python -m worldflow ([a-z]+)", page.read_text())}
    table = re.findall(r"^\| `([a-z]+) [^|]*` \|", (PROJECT / "docs/guide/operating.md").read_text(), re.MULTILINE)
    assert told | set(table) == _commands()


def _commands() -> set[str]:
    return set(getattr(get_command(app), "commands"))  # noqa: B009  the type is click's own


@pytest.mark.parametrize("page", sorted({*PAGES} - {*RUN}), ids=lambda page: page.name)
def test_what_is_said_in_python_is_python(page: Path) -> None:
    for code in _python(page):
        compile(code, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_code_of_the_guide_is_run(page: Path) -> None:
    """Each paragraph of it stands in the page's test, as deep as the test needs it."""
    run = "\n" + (PROJECT / f"tests/docs/test_{page.stem.replace('-', '_')}.py").read_text()
    paragraphs = [textwrap.dedent(part).strip() for code in _python(page) for part in code.split("\n\n")]
    places = (0, 4, 8, 12)
    assert [
        part for part in paragraphs if not any(f"\n{textwrap.indent(part, ' ' * n)}\n" in run for n in places)
    ] == []


def test_the_page_of_the_api_has_every_route() -> None:
    routes = {path.replace("{run_id}", "{id}").replace("{schedule_id}", "{id}") for _, path in api_routes()}
    assert "/runs/{id}/signals/{name}" in routes
    text = (PROJECT / "docs/guide/api.md").read_text()
    assert [route for route in sorted(routes) if not re.search(rf"{re.escape(route)}[`?]", text)] == []


def test_the_page_of_the_guide_for_testing(tmp_path: Path) -> None:
    """The first as it is; the names that the others use are imported in `tests/docs`."""
    snippet = _python(PROJECT / "docs/guide/testing.md")[0]
    assert _run_tests(tmp_path, snippet) == "1 passed"


def test_the_workflow_and_the_test_of_the_readme(tmp_path: Path) -> None:
    workflow, test = _python(PROJECT / "README.md")[2:4]
    assert _run_tests(tmp_path, test, greet=workflow) == "1 passed"


def test_the_first_workflow_of_the_guide_is_the_example() -> None:
    example = (PROJECT / "layers/workflows/workflows/hello.py").read_text()
    assert _python(PROJECT / "docs/guide/workflows.md")[0] in example


def test_the_check_finds_what_the_guide_says_and_nothing_in_what_it_says_instead() -> None:
    imports = "import os, uuid, requests, worldflow\nfrom datetime import datetime\nfrom worldflow import *\n"
    bad, good = _python(PROJECT / "docs/guide/determinism.md")
    remarks = [number for number, line in enumerate(bad.splitlines(), 4) if "#" in line]
    assert [finding.line for finding in check(imports + bad, "flows.py").findings] == remarks
    assert check(imports + good, "flows.py").findings == ()


def _python(page: Path) -> list[str]:
    """The Python snippets of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def _run_tests(directory: Path, test: str, **modules: str) -> str:
    """Runs a test as somebody would who has copied the project and added modules to its workflows."""
    shutil.copytree(PROJECT / "layers/workflows/workflows", directory / "workflows")
    for name, text in modules.items():
        (directory / "workflows" / f"{name}.py").write_text(text)
    (directory / "test_snippet.py").write_text(test)
    (directory / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\npythonpath = .\n")
    command = [sys.executable, "-m", "pytest", "-q", "test_snippet.py"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[-1].split(" in ")[0] if done.stdout else done.stderr
