"""No block of code on a page is unaccounted for: each is run, or as much of it checked as can be without an account.

Shell: bash runs each block, with stubs for the programs that it calls. What they were called with is checked: commands
and options of `python -m worldflow`, targets of make, operations and parameters of AWS.
Python: the page's test runs it, and `tests/unit/test_the_documentation.py` compares the two. JavaScript: a browser runs
it, in `tests/browser`. JSON, TOML and YAML are parsed.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore import xform_name
from typer.main import get_command

from tests.docs.pages import PROJECT, all_blocks
from worldflow.cli import app

pytestmark = pytest.mark.one_python

PAGES = [
    PROJECT / "README.md",
    PROJECT / "events/README.md",
    *sorted(PROJECT.glob("examples/**/README.md")),
    *sorted(PROJECT.glob("docs/**/*.md")),
]
SHELL = [page for page in PAGES if any(language == "sh" for language, _ in all_blocks(page))]

RUN_BY = {
    "README.md": "tests/docs/test_code_that_applications_have.py",
    "docs/guide/agents/langgraph.md": "tests/agents/recipes/test_langgraph.py",
    "docs/guide/agents/openai-agents.md": "tests/agents/recipes/test_openai_agents_sdk.py",
    "docs/guide/agents/strands.md": "tests/agents/recipes/test_strands.py",
    "docs/guide/deploying.md": "tests/docs/test_code_that_applications_have.py",
    "docs/guide/determinism.md": "tests/unit/test_the_documentation.py",
    "docs/guide/permissions.md": "tests/e2e/test_steps_use_aws.py",
    "docs/guide/recurring.md": "tests/docs/test_code_that_applications_have.py",
    "docs/guide/testing.md": "tests/unit/test_the_documentation.py",
    "docs/guide/tracing.md": "tests/docs/test_code_that_applications_have.py",
    "docs/hosting/cdk.md": "tests/infrastructure/test_the_cdk_and_terraform_follow_the_template.py",
    "docs/hosting/frameworks.md": "tests/examples/test_web_frameworks.py",
}
"""The tests that run the Python of a page and are not named after it."""

PROGRAMS = (
    *("aws", "claude", "curl", "gunicorn", "make", "npx", "pip"),
    *("python", "python3", "sam", "sleep", "uvicorn", "uvx"),
)
STUB = """#!/bin/sh
call=$(printf '%s\\037' "${0##*/}" "$@"; printf '\\036')
printf %s "$call" >> "$CALLS" # in one piece: programs in the background write to it too
case "$*" in *get-schedule-group*) exit 1;; *" environment "*) ;; *) [ "${0##*/}" = aws ] && echo value;; esac
exit 0
"""


BOTOCORE = botocore.session.Session()


def _name(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_is_of_a_known_kind(page: Path) -> None:
    kinds = {
        "javascript": str,
        "json": json.loads,
        "python": str,
        "sh": str,
        "sql": str,
        "terraform": str,
        "text": str,
        "toml": tomllib.loads,
        "yaml": _yaml,
    }
    for language, code in all_blocks(page):
        assert language in kinds, f"is this sh, or text that is printed? {code}"
        kinds[language](code)


def _yaml(code: str) -> object:
    return yaml.load(code, _Template)


def _constructed(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> object:
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else loader.construct_sequence(node)  # type: ignore[arg-type]


class _Template(yaml.SafeLoader):
    """With the short forms of CloudFormation's functions."""


_Template.add_multi_constructor("!", _constructed)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_with_python_has_a_test_that_runs_it(page: Path) -> None:
    if not any(language == "python" for language, _ in all_blocks(page)):
        return
    name = _name(page)
    if name.startswith("docs/migrating/"):
        assert name in (PROJECT / "tests/docs/test_migrating.py").read_text()
        return
    test = PROJECT / RUN_BY.get(name, f"tests/docs/test_{page.stem.replace('-', '_')}.py")
    assert test.exists()
    assert name in test.read_text()


@pytest.mark.parametrize("page", SHELL, ids=_name)
def test_the_commands_of_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _calls(page, tmp_path)
    monkeypatch.chdir(tmp_path)  # where the files are that they name
    for program, *arguments in calls:
        match program:
            case "python":
                _check_python(arguments)
            case "claude":
                _check_python(arguments[arguments.index("--") + 2 :])
            case "make":
                _check_make(arguments)
            case "aws":
                _check_aws(arguments)
            case "sam":
                assert arguments[0] in ("build", "deploy", "init", "package")


def _calls(page: Path, folder: Path) -> list[list[str]]:
    """What the shell of a page calls, in a folder where every program that could do something is a stub."""
    bin, tools = folder / "bin", folder / "worldflow-tools/bin"
    for path in (*(bin / program for program in PROGRAMS), tools / "python"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUB)
        path.chmod(0o755)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").touch()
    (folder / "concurrency.txt").write_text("function None\nfunction 5\n")
    (folder / "worldflow-X.Y.Z-py3-none-any.whl").touch()
    log = folder / "calls"
    log.touch()
    code = "\n".join(code for language, code in all_blocks(page) if language == "sh")
    done = subprocess.run(
        ["bash", "-c", code],
        cwd=folder,
        env={"PATH": f"{bin}:/usr/bin:/bin", "CALLS": str(log), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert not re.search(r"command not found|syntax error|unexpected", done.stderr), done.stderr
    return [call.split("\x1f")[:-1] for call in log.read_text().split("\x1e")[:-1]]


def _check_python(arguments: list[str]) -> None:
    """As the command line reads it, without doing anything."""
    if arguments[:1] != ["-m"]:
        return
    module, *rest = arguments[1:]
    if module == "worldflow":
        command = get_command(app)
        while commands := getattr(command, "commands", None):
            name, *rest = rest
            assert name in commands, f"no command {name}"
            command = commands[name]
        command.make_context(None, rest).close()
    elif module == "worldflow.aws_setup":
        assert rest[0] in ("setup", "status", "teardown")


def _check_make(arguments: list[str]) -> None:
    makefile = "".join((PROJECT / name).read_text() for name in ("Makefile", "worldflow.mk"))
    for argument in arguments:
        name, is_variable, _ = argument.partition("=")
        assert re.search(rf"\b{name}\b" if is_variable else rf"^{name}:", makefile, re.MULTILINE), argument


def _as_option(name: str) -> str:
    return xform_name(name, "-")


def _check_aws(arguments: list[str]) -> None:
    """By the model of the service, as the AWS CLI makes its commands of it."""
    service, operation, *rest = arguments
    if service == "s3":
        return
    if operation == "wait":
        assert rest[0] in map(_as_option, BOTOCORE.get_waiter_model(service).waiter_names)
        return
    model = BOTOCORE.get_service_model(service)
    (name,) = (name for name in model.operation_names if _as_option(name) == operation)
    shape = model.operation_model(name).input_shape
    members = {_as_option(member): member for member in shape.members}
    options = {re.sub(r"^--(no-)?", "", option).partition("=")[0] for option in rest if option.startswith("--")}
    assert options - {"output", "query", "region", "profile"} <= members.keys()
    assert {members[option] for option in options & members.keys()} >= set(shape.required_members)


def test_a_command_that_does_not_exist_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        _check_aws(["dynamodb", "wait", "table-is-there"])
    with pytest.raises(AssertionError):
        _check_aws(["dynamodb", "update-table", "--tabel-name", "x"])
    with pytest.raises(AssertionError):
        _check_make(["deplyo"])
    with pytest.raises(Exception, match="No such option"):
        _check_python(["-m", "worldflow", "list", "--state", "running"])
