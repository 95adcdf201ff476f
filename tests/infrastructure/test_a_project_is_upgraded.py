"""`python -m worldflow upgrade` merges a newer wheel into a project, and overwrites none of the user's changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner, Result

from worldflow.cli import app
from worldflow.project import creating, upgrading
from worldflow.project.shipped import DATA

Upgrade = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "my-shop"
    creating.create(folder, "my-shop")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, which is the current folder."""
    copy = Path(shutil.copytree(made, tmp_path / "my-shop"))
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def upgrade(project: Path, tmp_path: Path) -> Upgrade:
    """Upgrades to a wheel in which files have the given texts; without those that have None."""

    def upgrade(files: dict[str, str | None], *options: str) -> Result:
        newer = tmp_path / "worldflow-99.0.0-py3-none-any.whl"
        with ZipFile(upgrading.own_wheel(project)) as old, ZipFile(newer, "w") as new:
            texts = {name: old.read(name).decode() for name in old.namelist()}
            texts |= {DATA + path: text for path, text in files.items()}  # type: ignore[dict-item]
            for name, text in texts.items():
                if text is not None:
                    new.writestr(name, text)
        return CliRunner().invoke(app, ["upgrade", "--wheel", str(newer), *options])

    return upgrade


def edit(file: str, old: str, new: str) -> str:
    """Replaces a text that a file has, as its user or a new version would, and returns what it is then."""
    text = Path(file).read_text()
    assert old in text
    return text.replace(old, new)


def write(file: str, text: str) -> None:
    Path(file).write_text(text)


TEMPLATE = "template.yaml"


def test_what_the_user_did_not_change_is_replaced(project: Path, upgrade: Upgrade) -> None:
    newer = edit(TEMPLATE, "Description: ", "Description: Newer. ")

    done = upgrade({TEMPLATE: newer, "functions/orchestrator/app.py": None, "layers/new.mk": "all:\n"})

    assert done.exit_code == 0, done.output
    assert Path(TEMPLATE).read_text() == newer
    assert not Path("functions/orchestrator/app.py").exists()
    assert Path("layers/new.mk").read_text() == "all:\n"
    assert [path.name for path in Path("layers/worldflow").glob("*.whl")] == ["worldflow-99.0.0-py3-none-any.whl"]
    assert "template.yaml: updated" in done.output and "+++ template.yaml" in done.output


def test_what_both_changed_is_merged(project: Path, upgrade: Upgrade) -> None:
    newer = edit("worldflow.mk", "PORT ?= 4566", "PORT ?= 5000")
    write("worldflow.mk", edit("worldflow.mk", "SAM ?= sam", "SAM ?= samdev"))

    done = upgrade({"worldflow.mk": newer})

    merged = Path("worldflow.mk").read_text()
    assert done.exit_code == 0, done.output
    assert "PORT ?= 5000" in merged and "SAM ?= samdev" in merged
    assert "worldflow.mk: merged with your changes" in done.output


def test_the_name_of_the_application_is_no_change(project: Path, upgrade: Upgrade) -> None:
    """Nor is another one that it has been given since."""
    CliRunner().invoke(app, ["rename", "book-club"])

    done = upgrade({"samconfig.toml": 'stack_name = "worldflow-dev"\n'})

    assert done.exit_code == 0, done.output
    assert Path("samconfig.toml").read_text() == 'stack_name = "book-club-dev"\n'


def test_a_conflict_is_marked_and_named(project: Path, upgrade: Upgrade) -> None:
    newer = edit("worldflow.mk", "PORT ?= 4566", "PORT ?= 5000")
    write("worldflow.mk", edit("worldflow.mk", "PORT ?= 4566", "PORT ?= 6000"))

    done = upgrade({"worldflow.mk": newer})

    text = Path("worldflow.mk").read_text()
    assert done.exit_code == 1
    assert "<<<<<<< yours\nPORT ?= 6000\n=======\nPORT ?= 5000\n>>>>>>> worldflow\n" in text
    assert "Error: resolve by hand: worldflow.mk" in done.output


def test_without_git_the_new_version_is_put_beside(
    project: Path, upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading.shutil, "which", lambda _: None)
    newer = edit("worldflow.mk", "PORT ?= 4566", "PORT ?= 5000")
    own = edit("worldflow.mk", "SAM ?= sam", "SAM ?= samdev")
    write("worldflow.mk", own)

    done = upgrade({"worldflow.mk": newer})

    assert done.exit_code == 1
    assert Path("worldflow.mk").read_text() == own
    assert Path("worldflow.mk.new").read_text() == newer
    assert "git is not installed" in done.output


@pytest.mark.parametrize("end", ["echo 'xcrun: error' >&2; exit 1", "kill -9 $$"])
def test_a_git_that_fails_changes_nothing(
    project: Path, upgrade: Upgrade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    git = tmp_path / "bin/git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\n{end}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(git.parent), prepend=":")
    newer = edit("worldflow.mk", "PORT ?= 4566", "PORT ?= 5000")
    own = edit("worldflow.mk", "SAM ?= sam", "SAM ?= samdev")
    write("worldflow.mk", own)

    done = upgrade({"worldflow.mk": newer})

    assert done.exit_code == 1
    assert "git merge-file failed" in done.output
    assert Path("worldflow.mk").read_text() == own
    assert upgrading.own_wheel(project).name != "worldflow-99.0.0-py3-none-any.whl"


def test_the_ends_of_lines_stay(project: Path, upgrade: Upgrade) -> None:
    newer = edit("worldflow.mk", "PORT ?= 4566", "PORT ?= 5000")
    own = edit("worldflow.mk", "SAM ?= sam", "SAM ?= samdev")
    Path("worldflow.mk").write_bytes(own.replace("\n", "\r\n").encode())
    Path("Makefile").write_bytes(Path("Makefile").read_bytes().replace(b"\n", b"\r\n"))

    done = upgrade({"worldflow.mk": newer})
    CliRunner().invoke(app, ["rename", "book-club"])

    assert done.exit_code == 0, done.output
    merged = own.replace("PORT ?= 4566", "PORT ?= 5000")
    assert Path("worldflow.mk").read_bytes() == merged.replace("\n", "\r\n").encode()
    assert b"NAME := book-club\r\n" in Path("Makefile").read_bytes()


def test_a_file_in_another_encoding_is_refused(project: Path, upgrade: Upgrade) -> None:
    Path(TEMPLATE).write_bytes(b"# caf\xe9\n")

    done = upgrade({TEMPLATE: "Newer: true\n"})

    assert done.exit_code == 1
    assert "template.yaml is not in UTF-8" in done.output
    assert Path(TEMPLATE).read_bytes() == b"# caf\xe9\n"


def test_a_disk_that_is_full_leaves_the_wheel(project: Path, upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path, to: Path) -> None:
        Path(to).write_bytes(b"PK")
        raise OSError(28, "No space left on device")

    own = upgrading.own_wheel(project)
    monkeypatch.setattr(upgrading.shutil, "copyfile", fail)
    upgrade({TEMPLATE: "Newer: true\n"})

    assert upgrading.own_wheel(project) == own


def test_what_is_the_users_stays(project: Path, upgrade: Upgrade) -> None:
    """Files that they deleted, those that only they still have, and those that were theirs from the beginning."""
    Path("events/signal-start-run.json").unlink()
    own = edit("pyproject.toml", "line-length = 120", "line-length = 100")
    write("pyproject.toml", own)
    order = Path("layers/workflows/workflows/order.py").read_text()

    done = upgrade(
        {
            "events/signal-start-run.json": "{}",
            "pyproject.toml": None,
            "layers/workflows/workflows/order.py": "",
            "layers/workflows/requirements.txt": "newer",
        }
    )

    assert done.exit_code == 0, done.output
    assert not Path("events/signal-start-run.json").exists()
    assert Path("pyproject.toml").read_text() == own
    assert Path("layers/workflows/workflows/order.py").read_text() == order
    assert "newer" not in Path("layers/workflows/requirements.txt").read_text()


def test_a_dry_run_changes_nothing(project: Path, upgrade: Upgrade) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}

    done = upgrade({TEMPLATE: "Newer: true\n"}, "--dry-run")

    assert done.exit_code == 0, done.output
    assert "+Newer: true" in done.output and "Nothing was changed." in done.output
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_the_version_that_a_project_has_is_no_upgrade(project: Path) -> None:
    done = CliRunner().invoke(app, ["upgrade"])

    assert done.exit_code == 0
    assert "The project already has" in done.output


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    upgraded, renamed = (CliRunner().invoke(app, [*command]) for command in (("upgrade",), ("rename", "x")))

    assert upgraded.exit_code == renamed.exit_code == 1
    assert "layers/worldflow must have one wheel of Worldflow, but has 0" in upgraded.output
    assert "is no Worldflow project" in renamed.output


def test_a_wheel_without_a_project_is_refused(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "worldflow-0.4.0-py3-none-any.whl"
    with ZipFile(other, "w") as archive:
        archive.writestr("worldflow/__init__.py", "")

    done = CliRunner().invoke(app, ["upgrade", "--wheel", str(other)])

    assert done.exit_code == 1
    assert "is no wheel of Worldflow with the files of a project" in " ".join(done.output.split())
