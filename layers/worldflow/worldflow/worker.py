"""The worker, which serves a `LocalWorld`, and what its log says. Its code is in `serving/worker.py`."""

from worldflow.logs import RunIds
from worldflow.serving.background import BackgroundWorker
from worldflow.serving.worker import Worker

__all__ = ["BackgroundWorker", "RunIds", "Worker"]
