"""`python -m worldflow`: starts runs, shows them, asks things of them.

The runs are those that the `WORLDFLOW_*` environment variables lead to (on AWS or, with `AWS_ENDPOINT_URL`, on a local
AWS), or those of a LocalWorld file. What a command was asked for goes to stdout, all else to stderr. The exit code is 1
for what could not be done, and 2 for a wrong command line.
"""

from worldflow.cli import (
    asking,
    checking,
    costing,
    reading,
    redriving,
    restoring,
    scheduling,
    serving,
    starting,
    tracing,
)
from worldflow.terminal import application

app = application("worldflow", "Start, inspect and control runs, on AWS or in a LocalWorld file.")

for _command in (
    starting.start,
    reading.status,
    reading.events,
    reading.list_,
    reading.query,
    costing.cost,
    tracing.trace,
    asking.signal,
    asking.update,
    asking.hook,
    asking.cancel,
    asking.terminate,
    asking.resume,
    redriving.redrive,
    restoring.reconcile,
    starting.retry,
    starting.fork,
    serving.worker,
    checking.check,
):
    app.command(_command.__name__.removesuffix("_"))(_command)
app.add_typer(scheduling.schedule)

__all__ = ["app"]
