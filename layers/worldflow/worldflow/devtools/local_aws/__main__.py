"""`python -m worldflow.devtools.local_aws` keeps a local AWS up until Ctrl-C."""

import argparse
import shlex
import signal
import sys
import tempfile
from pathlib import Path

from worldflow.devtools.local_aws import LocalAws, LocalAwsError
from worldflow.devtools.local_aws.consoles import Consoles

PORT = 4566
"""Where `make deploy-local` deploys without PORT=."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m worldflow.devtools.local_aws", description="Run a local AWS until Ctrl-C."
    )
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--directory", type=Path, help="directory for its state and log (default: a temporary one)")
    parser.add_argument("--enforce-iam", action="store_true", help="deny requests that the roles do not allow")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="local-aws-") as temporary:
        directory = options.directory or Path(temporary)
        try:
            with LocalAws(directory, options.port, enforce_iam=options.enforce_iam) as aws:
                explain(aws)
                with Consoles(aws) as consoles:
                    consoles.watch()
        except KeyboardInterrupt:
            print()
        except LocalAwsError as error:
            sys.exit(str(error))


def explain(aws: LocalAws) -> None:
    """Prints how to reach it."""
    print(f"The local AWS listens on {aws.endpoint_url}; its log is {aws.log_file}.\n")
    print("Point aws, sam and your application at it:\n")
    for name, value in aws.env.items():
        print(f"  export {name}={shlex.quote(value)}")
    port = "" if aws.port == PORT else f" PORT={aws.port}"
    print(f"\nDeploy the template to it with `make deploy-local{port}`, which builds for this machine.")
    print("An API whose URL is https://<id>.execute-api.<region>.amazonaws.com answers on")
    print(f"  {aws.endpoint_url}/_aws/execute-api/<id>")
    print("\nWhen a stack is deployed to it, the address of its console is printed below.")
    print("\nStop it with Ctrl-C; its data is then lost.", flush=True)


if __name__ == "__main__":
    main()
