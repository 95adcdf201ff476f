"""`python -m tools.environment STACK`: the variables with which an application reaches a deployed stack, as exports."""

from __future__ import annotations

import shlex
import sys

from worldflow.stacks import read_environment
from worldflow.terminal import describe_error, is_explained


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.environment STACK")
    try:
        variables = read_environment(sys.argv[1])
    except Exception as error:
        if not is_explained(error):
            raise
        sys.exit(f"Error: {describe_error(error)}")
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
