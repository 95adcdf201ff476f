"""`python -m worldflow.devtools.invocation`: what `sam local invoke` needs for a stack on the local AWS.

`--env-vars` overrides only variables that the template declares, and none declares where AWS is. So beside the file of
variables goes a copy of the built template that declares it.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_dump, yaml_parse

ENDPOINT = "AWS_ENDPOINT_URL"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m worldflow.devtools.invocation", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--stack", required=True, help="name of the stack on the local AWS")
    parser.add_argument("--template", type=Path, required=True, help="the built template")
    parser.add_argument("--output", type=Path, required=True, help="the copy of it to write, in the same folder")
    parser.add_argument("--env-vars", type=Path, required=True, help="the file of variables to write")
    options = parser.parse_args()
    if ENDPOINT not in os.environ:
        sys.exit(f"{ENDPOINT} is not set: set it to the URL of the local AWS.")
    try:
        variables = deployed_variables(options.stack)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{error}\nIs `make local-aws` running, and has `make deploy-local` put the stack there?")
    template = yaml_parse(options.template.read_text())
    template["Globals"]["Function"]["Environment"]["Variables"][ENDPOINT] = ""
    options.output.write_text(yaml_dump(template))
    options.env_vars.write_text(json.dumps(variables, indent=2))


def deployed_variables(stack: str) -> dict[str, dict[str, str]]:
    """The variables of each function as deployed, by logical id, and with them where the local AWS is."""
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    functions = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }
    lambda_ = boto3.client("lambda")
    return {
        logical_id: {
            **lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"],
            ENDPOINT: os.environ[ENDPOINT],
        }
        for logical_id, name in functions.items()
    }


if __name__ == "__main__":
    main()
