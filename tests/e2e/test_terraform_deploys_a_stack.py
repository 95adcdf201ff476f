"""`infrastructure/terraform` without the AWS provider: Terraform turns the module's variables into parameters, and
CloudFormation creates a stack with them from the packaged template, by the request that the provider makes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PROJECT, Project
from worldflow.devtools.stack import Stack, parameters_of_this_machine

MODULE = PROJECT / "infrastructure/terraform"
NAME = "terraformed"

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="there is no terraform on this machine")


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    command = ["terraform", f"-chdir={folder}", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The module without what needs the provider. Its output is what CloudFormation would get."""
    properties = json.loads((MODULE / "properties.tf.json").read_text())
    used = re.findall(r"parameters += (\{.* \})", (MODULE / "main.tf").read_text())
    properties["output"] = {"parameters": {"value": f"${{{used[0]}}}"}}
    (tmp_path / "properties.tf.json").write_text(json.dumps(properties))
    done = terraform(tmp_path, "init")
    assert done.returncode == 0, done.stderr
    return tmp_path


def parameters(module: Path, **variables: Any) -> dict[str, str]:
    (module / "terraform.tfvars.json").write_text(json.dumps(variables))
    done = terraform(module, "apply", "-auto-approve", "-no-color")
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(terraform(module, "output", "-json", "parameters").stdout)
    return found


def test_the_module_is_formatted() -> None:
    done = terraform(MODULE, "fmt", "-check", "-diff")
    assert done.returncode == 0, done.stdout + done.stderr


def test_variables_become_parameters_and_what_is_left_out_does_not(module: Path) -> None:
    policies = ["arn:aws:iam::111122223333:policy/a", "arn:aws:iam::111122223333:policy/b"]
    given = parameters(module, stage="prod", step_timeout=60, dashboard=True, step_policies=policies)
    assert given == {
        "Stage": "prod", "StepTimeout": "60", "Dashboard": "true", "StepPolicies": ",".join(policies)
    }  # fmt: skip
    (module / "terraform.tfvars.json").write_text('{"step_timeout": 61}')
    refused = terraform(module, "plan", "-no-color")
    assert "step_timeout must be one of 30, 60, 120, 300, 900." in refused.stderr


def test_a_stack_is_created_of_the_packaged_template(stack: Stack, project: Project, module: Path) -> None:
    aws, packaged = stack.aws, module / "packaged.yaml"
    aws.client("s3").create_bucket(Bucket=NAME)
    package = ["sam", "package", "--template-file", str(project.template), "--s3-bucket", NAME]
    package += ["--output-template-file", str(packaged), "--no-progressbar"]
    done = subprocess.run(package, env={**os.environ, **aws.env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    aws.client("s3").upload_file(str(packaged), NAME, "template.yaml")
    given = dict(parameter.split("=", 1) for parameter in parameters_of_this_machine())
    given = parameters(module, runtime=given["Runtime"], architecture=given["Architecture"])
    capabilities = json.loads(re.findall(r"capabilities += (\[.*\])", (MODULE / "main.tf").read_text())[0])
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(
        StackName=NAME,
        TemplateURL=f"{aws.endpoint_url}/{NAME}/template.yaml",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=capabilities,
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})
    (made,) = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
    referred = re.findall(r'\.outputs\[\\"(\w+)\\"\]', (MODULE / "properties.tf.json").read_text())
    assert sorted(referred) == sorted(outputs)
    made_of_it = Stack(aws, NAME, outputs)
    assert made_of_it.call("POST", "/runs", {"workflow": "hello", "input": {"name": "Ada"}}).status == 201
