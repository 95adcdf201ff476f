"""A local AWS for the demo and the end-to-end tests: MiniStack, patched and kept on a lead.

    with LocalAws(directory) as aws:
        subprocess.run(["sam", "deploy", ...], env={**os.environ, **aws.env}, check=True)
        aws.client("dynamodb").list_tables()

The emulator's faults that matter to Worldflow are patched when its process starts, one module a patch, in `patches/`.
"""

from worldflow.devtools.local_aws.launcher import LocalAws, LocalAwsError, Usage

__all__ = ["LocalAws", "LocalAwsError", "Usage"]
