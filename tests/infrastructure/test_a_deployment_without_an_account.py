"""`make deploy` says what it needs to reach AWS before it builds, and reaches the account and region that SAM does."""

import subprocess
from pathlib import Path

import pytest

from worldflow.devtools import quota

ROOT = Path(__file__).parents[2]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def samconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of a project, on a machine that AWS knows nothing of."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", *CREDENTIALS):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "aws-config"
    config.write_text("[profile shop]\nregion = eu-west-1\naws_access_key_id = key\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "samconfig.toml"
    file.write_text("[default.global.parameters]\n")
    return file


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_missing_credentials(samconfig: Path) -> None:
    with pytest.raises(SystemExit, match="no AWS credentials in this environment; `make local-aws`"):
        quota.session_of_config("default")


def test_a_missing_region(samconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, CREDENTIALS)
    with pytest.raises(SystemExit, match="no AWS region: set AWS_REGION"):
        quota.session_of_config("default")


def test_an_unknown_profile(samconfig: Path) -> None:
    samconfig.write_text('[default.global.parameters]\nprofile = "nobody"\n')
    with pytest.raises(SystemExit, match=r"Error: .*nobody"):
        quota.session_of_config("default")


@pytest.mark.parametrize(
    ("settings", "region"),
    [("", "eu-north-1"), ('region = "us-west-2"', "us-west-2")],
)
def test_the_region_of_samconfig_comes_first(
    settings: str, region: str, samconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, CREDENTIALS | {"AWS_REGION": "eu-north-1"})
    samconfig.write_text(f"[default.deploy.parameters]\n{settings}\n")
    assert quota.session_of_config("default").region_name == region


def test_the_profile_of_samconfig(samconfig: Path) -> None:
    samconfig.write_text('[default.global.parameters]\nprofile = "shop"\n')
    assert quota.session_of_config("default").region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({}, "unset"),  # empty would hide the region of a profile
    ],
)
def test_make_gives_sam_the_region(environment: dict[str, str], region: str, tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"NAME := shop\ninclude {ROOT}/worldflow.mk\nregion:\n\t@echo $${{AWS_DEFAULT_REGION-unset}}\n")
    command = ["make", "--no-print-directory", "-s", "region", "RUNTIME=python3.13"]
    env = {"PATH": "/usr/bin:/bin", **environment}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == region
