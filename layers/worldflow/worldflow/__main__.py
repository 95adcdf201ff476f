"""The command line, as `worldflow` and as `python -m worldflow`."""

import sys
from pathlib import Path


def main() -> None:
    """Run the command line with the arguments of this process, and exit."""
    try:
        from worldflow.cli import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit('The command line requires Typer and Rich: pip install "worldflow[cli]"')
    as_a_module = Path(sys.argv[0]).name == "__main__.py"
    app(prog_name="python -m worldflow" if as_a_module else "worldflow")


if __name__ == "__main__":
    main()
