"""A boto3 that lacks what is asked of S3 is named when AWSWorld is imported, not when the first run is archived."""

import subprocess
import sys
import tomllib

from tests.support.lambdas import ROOT


def last_line(version: str) -> str:
    code = f"import botocore; botocore.__version__ = {version!r}; import worldflow.worlds.aws.access"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.rstrip().rpartition("\n")[2]


def test_an_older_one_is_refused() -> None:
    assert last_line("1.34.162") == (
        "ImportError: AWSWorld needs botocore 1.35.2 or later, but 1.34.162 is installed: require boto3>=1.40 "
        "(for Lambda, in layers/workflows/requirements.txt)"
    )


def test_any_later_one_is_good() -> None:
    assert [last_line(version) for version in ("1.35.2", "1.100.0", "2.0.0")] == ["", "", ""]


def test_what_pip_installs_is_as_new_as_the_error_says() -> None:
    project = tomllib.loads((ROOT / "layers/worldflow/pyproject.toml").read_text())["project"]
    for extra in ("aws", "encryption"):
        assert "boto3>=1.40" in project["optional-dependencies"][extra]
