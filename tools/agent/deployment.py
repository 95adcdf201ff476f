"""The template with the agents of the examples among its workflows, deployed to a local AWS.

`layers/workflows` gets what a person who writes agents adds: their code, and a line in its requirements.txt. The
project's own layer has neither.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.stack import DeploymentError, Stack, deploy, parameters_of_this_machine

PROJECT = Path(__file__).parents[2]
EXAMPLES = ("research_agent", "chat")
WORKFLOWS = "from examples.chat import conversation  # noqa: F401 - and the agents that it talks with\n"
FUNCTIONS = ("Orchestrator", "StepExecutor", "Signal")


def build(folder: Path, model: str = "", workflows: Mapping[str, str] = {}) -> Path:
    """Builds a copy of the project, with the agents, in this folder. Returns the template.

    model: `provider:name`, whose provider's client is added too.
    workflows: more of them, by the names of their files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "test_*.py", "demo.py", "*.svg")
    for name in ("functions", "layers"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(PROJECT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(PROJECT / name, folder)
    layer = folder / "layers/workflows"
    for name in EXAMPLES:
        shutil.copytree(PROJECT / "examples" / name, layer / "examples" / name, ignore=ignored)
    for name, code in {"agents.py": WORKFLOWS, **workflows}.items():
        (layer / "workflows" / name).write_text(code)
    with (layer / "requirements.txt").open("a") as requirements:
        requirements.write(f"{requirement(model)}\n")
    command = ["sam", "build", "--build-dir", "built", "--cached"]
    command += ["--parameter-overrides", *parameters_of_this_machine()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeploymentError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return folder / "built/template.yaml"


def requirement(model: str) -> str:
    """Pydantic AI as it is installed here, with the client of the model's provider."""
    package = "pydantic-ai-slim"
    provider = model.partition(":")[0].partition("-")[0]  # such as openai of openai-responses
    extra = f"[{provider}]" if provider in (metadata.metadata(package).get_all("Provides-Extra") or []) else ""
    return f"{package}{extra}=={metadata.version(package)}"


def deployed(aws: LocalAws, template: Path, model: str = "") -> Stack:
    """The stack. Its functions have the name of the model, and the keys in this process's environment."""
    stack = deploy(aws, template, name="worldflow-agent", parameters=parameters_of_this_machine())
    if model:
        keys = {name: value for name, value in os.environ.items() if name.endswith(("_API_KEY", "_BASE_URL"))}
        for function in FUNCTIONS:
            _add_environment(stack, stack.outputs[f"{function}FunctionName"], {"MODEL": model, **keys})
    return stack


def _add_environment(stack: Stack, function: str, variables: dict[str, str]) -> None:
    lambdas = stack.aws.client("lambda")
    before = lambdas.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    lambdas.update_function_configuration(FunctionName=function, Environment={"Variables": {**before, **variables}})
