"""The construct: a nested stack of Worldflow's template, with its code as assets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Unpack

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from aws_cdk import cloudformation_include as include
from constructs import Construct

from worldflow_cdk.building import as_cloudformation, build
from worldflow_cdk.properties import DEFAULTS, NAMES, Outputs, Parameters

PROJECT = Path(__file__).parents[3]
"""The checkout of Worldflow that this construct belongs to."""


class Worldflow(Construct, Outputs):
    """Worldflow with your workflows. The parameters are those of the template, the attributes its outputs.

    workflows: the folder with the package of your workflows and its `requirements.txt`, as `layers/workflows` is.
    project: the folder of Worldflow's `template.yaml`. Default: the checkout that this construct is in.
    build_dir: where to build. Default: `cdk.worldflow` in the working directory.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        workflows: str,
        project: str = str(PROJECT),
        build_dir: str = "cdk.worldflow",
        **parameters: Unpack[Parameters],
    ) -> None:
        super().__init__(scope, id)
        values = {NAMES[name]: _text(value) for name, value in parameters.items()}
        given = DEFAULTS | values
        folder = Path(build_dir, self.node.addr).resolve()
        built = build(
            Path(project),
            Path(workflows),
            folder,
            runtime=given["Runtime"],
            architecture=given["Architecture"],
        )
        self.stack = cdk.NestedStack(self, "Stack", parameters=values)
        template = folder / "cloudformation.json"
        template.write_text(json.dumps(as_cloudformation(built, self._asset)))
        self.template = include.CfnInclude(self.stack, "Template", template_file=str(template))

    def grant_start(self, role: iam.IRole) -> None:
        """Lets an application with this role start, signal, update and cancel runs, and await their results."""
        self._grant("Start", role, self.start_policy_arn)

    def grant_read(self, role: iam.IRole) -> None:
        """Lets an application with this role read and list runs and schedules."""
        self._grant("Read", role, self.read_policy_arn)

    def grant_operate(self, role: iam.IRole) -> None:
        """Lets an operator with this role do all that the API and the command line do."""
        self.grant_start(role)
        self.grant_read(role)
        self._grant("Operate", role, self.operate_policy_arn)

    def _grant(self, use: str, role: iam.IRole, arn: str) -> None:
        id = f"{use}{role.node.addr}"
        if self.node.try_find_child(id) is None:  # a role may be granted the same twice
            role.add_managed_policy(iam.ManagedPolicy.from_managed_policy_arn(self, id, arn))

    def _output(self, name: str) -> str:
        resource = self.stack.nested_stack_resource
        assert resource is not None
        return str(resource.get_att(f"Outputs.{name}").to_string())

    def _asset(self, name: str, folder: Path) -> dict[str, Any]:
        asset = assets.Asset(self.stack, f"{name}Code", path=str(folder))
        return {"Bucket": self.stack.resolve(asset.s3_bucket_name), "Key": self.stack.resolve(asset.s3_object_key)}


def _text(value: object) -> str:
    """As CloudFormation takes the parameters of a nested stack."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list | tuple) else str(value)
