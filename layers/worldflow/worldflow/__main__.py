"""`python -m worldflow`."""

import sys

try:
    from worldflow.cli import app
except ModuleNotFoundError as error:
    if error.name not in ("typer", "rich"):
        raise
    sys.exit('The command line requires Typer and Rich: pip install "worldflow[cli]"')

app(prog_name="python -m worldflow")
