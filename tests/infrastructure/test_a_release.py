"""What a release consists of: packages that install, layers that depend on their sources alone, notes, a licence."""

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

import worldflow
from tools import release
from tools.template import TEMPLATE

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return release.build_packages(tmp_path_factory.mktemp("dist"))


def test_the_changelog_is_about_this_version():
    newest = re.findall(r"^## \[(\d.*?)\] - \d{4}-\d\d-\d\d$", CHANGELOG, re.M)[0]
    assert newest == worldflow.__version__
    assert release.notes(CHANGELOG, newest).startswith("### ")


def test_notes_are_one_section_of_the_changelog():
    changelog = (
        "# Changelog\n\n## [2.0.0] - 2027-01-01\n\nNew.\n\n## [1.0.0] - 2026-01-01\n\nOld.\n\n[2.0.0]: https://x\n"
    )
    assert release.notes(changelog, "2.0.0") == "New.\n"
    assert release.notes(changelog, "1.0.0") == "Old.\n"
    with pytest.raises(release.ReleaseError, match=r"no section `## \[1.5.0\] - date`"):
        release.notes(changelog, "1.5.0")


def test_a_tag_names_the_version_of_the_code():
    release.check_tag("v1.2.3", "1.2.3")
    with pytest.raises(release.ReleaseError, match=r"must be v1\.2\.3"):
        release.check_tag("v1.2.4", "1.2.3")


def test_only_tags_of_versions_are_released():
    """The name of a tag becomes part of a command."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    (pattern,) = workflow[True]["push"]["tags"]  # `on`, which is true in YAML
    expression = pattern.replace(".", r"\.")
    assert re.fullmatch(expression, f"v{worldflow.__version__}")
    for other in ("v1", "v1.2.3;id", "v1.2.3$(id)", "v1.2.3`id`"):
        assert not re.fullmatch(expression, other)


def test_the_packages_are_as_pypi_wants_them(packages: list[Path]):
    assert [path.name.removeprefix(f"worldflow-{worldflow.__version__}") for path in packages] == [
        "-py3-none-any.whl",
        ".tar.gz",
    ]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *packages], check=True)


def test_the_wheel_installs_into_an_empty_environment(packages: list[Path], tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*command: object) -> str:
        result = subprocess.run([*map(str, command)], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    run(sys.executable, "-m", "venv", "--without-pip", "venv")
    pip = (sys.executable, "-m", "pip", "--python", "venv/bin/python")
    run(*pip, "install", "--quiet", "--no-compile", f"worldflow[cli] @ {packages[0].as_uri()}")
    assert run("venv/bin/worldflow", "--version") == f"worldflow {worldflow.__version__}\n"
    assert "Usage: worldflow [OPTIONS]" in run("venv/bin/worldflow", "--help")
    assert "Usage: python -m worldflow [OPTIONS]" in run("venv/bin/python", "-m", "worldflow", "--help")
    run("venv/bin/python", "-c", "from worldflow.testing import WorkflowEnvironment")


def test_the_licence_is_in_the_packages_too(packages: list[Path]):
    text = (ROOT / "LICENSE").read_text()
    with ZipFile(packages[0]) as wheel:
        names = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
        assert [wheel.read(name).decode() for name in names] == [text]


def test_the_template_names_this_version():
    metadata = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
    assert metadata["SemanticVersion"] == worldflow.__version__


def test_a_layer_depends_on_its_files_alone(tmp_path: Path):
    for place, when in (("a", 1_000_000_000), ("b", 1_700_000_000)):
        (tmp_path / place / "python").mkdir(parents=True)
        for name in ("z.py", "a.py") if place == "a" else ("a.py", "z.py"):
            path = tmp_path / place / "python" / name
            path.write_text(f"# {name}")
            os.utime(path, (when, when))
        release.pack(tmp_path / place, tmp_path / f"{place}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_workflows_of_github_call_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                called = re.findall(r"^make ([a-z -]+?)(?= [A-Z]+=|$)", step.get("run", ""), re.M)
                assert set(" ".join(called).split()) <= targets, path
