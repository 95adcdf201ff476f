"""What MiniStack 1.5.33 does differently from AWS, where it matters here: one module a patch, done by its `apply`."""

from worldflow.devtools.local_aws.patches import (
    event_sources,
    http_api,
    iam,
    queries,
    queues,
    scheduler,
    secrets,
    workers,
)


def apply_all() -> None:
    for patch in (queues, event_sources, workers, scheduler, http_api, iam, secrets, queries):
        patch.apply()
