"""An application with Worldflow: `cdk deploy`."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct
from worldflow_cdk import Worldflow


class Shop(cdk.Stack):
    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        workflows = str(Path(__file__).parents[2] / "layers/workflows")
        worldflow = Worldflow(self, "Worldflow", workflows=workflows, stage="dev", log_retention_days=7)
        role = iam.Role(self, "ApplicationRole", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        worldflow.grant_start(role)
        cdk.CfnOutput(self, "ApiUrl", value=worldflow.api_url)


app = cdk.App()
Shop(app, "Shop")
app.synth()
