"""`python -m worldflow.devtools.environment STACK`: prints the shell commands that lead an application to a stack.

What the account's concurrency is too little for goes to stderr.
"""

from __future__ import annotations

import os
import shlex
import sys

import boto3

from worldflow.devtools import quota
from worldflow.stacks import read_environment
from worldflow.terminal import describe_error, is_explained


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m worldflow.devtools.environment STACK")
    try:
        variables = read_environment(sys.argv[1])
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        warning = quota.warning(quota.of_stack(sys.argv[1], session), quota.quota(session))
    except Exception as error:
        if not is_explained(error):
            raise
        sys.exit(f"Error: {describe_error(error)}")
    if warning:
        print(f"Warning: {warning}", file=sys.stderr)
    print("unset WORLDFLOW_LOCAL WORLDFLOW_STACK")  # with which the command line would use a file or another stack
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
