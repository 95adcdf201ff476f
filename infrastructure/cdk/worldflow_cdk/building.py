"""The template with its code built, and as plain CloudFormation."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

Template = dict[str, Any]
Location = dict[str, Any]
"""`Bucket` and `Key` of code in S3."""


class BuildError(Exception):
    """`sam build` failed; the message is what it printed."""


def build(project: Path, workflows: Path, folder: Path, *, runtime: str, architecture: str) -> Path:
    """Builds the project's functions and layers with `sam build`, and returns the path of the built template.

    project: the folder of `template.yaml`.
    workflows: the folder that takes the place of `layers/workflows`: `requirements.txt` and the package of workflows.
    folder: where to build. What has not changed since the last time is not built again.
    """
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    shutil.copy(project / "template.yaml", source)
    for part in sorted({path.parts[0] for _, _, path in _code(_read(project / "template.yaml"))}):
        shutil.copytree(project / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.rmtree(source / "layers/workflows")
    shutil.copytree(workflows, source / "layers/workflows", ignore=shutil.ignore_patterns("__pycache__"))
    command = ["sam", "build", "--template-file", str(source / "template.yaml"), "--build-dir", str(folder / "built")]
    command += ["--cached", "--parallel", "--cache-dir", str(folder / "cache")]
    command += ["--parameter-overrides", f"Runtime={runtime}", f"Architecture={architecture}"]
    environment = {"SAM_CLI_TELEMETRY": "0", **os.environ}
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return folder / "built" / "template.yaml"


def as_cloudformation(built: Path, upload: Callable[[str, Path], Location]) -> Template:
    """What AWS would make of the built template. `upload` says where the code of a resource will be."""
    template = _read(built)
    for name, key, path in list(_code(template)):
        template["Resources"][name]["Properties"][key] = upload(name, built.parent / path)
    sam = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    translated: Template = sam.translate(template, {})
    return translated


def _read(path: Path) -> Template:
    template: Template = yaml_parse(path.read_text())
    return template


def _code(template: Template) -> Iterator[tuple[str, str, Path]]:
    """Each resource that has code in a folder, the property that says so, and the folder."""
    for name, resource in template["Resources"].items():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                yield name, key, Path(resource["Properties"][key])
