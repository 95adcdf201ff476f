"""The worker, which serves a `LocalWorld`. Its code is in `serving/worker.py`."""

from worldflow.serving.background import BackgroundWorker
from worldflow.serving.worker import Worker

__all__ = ["BackgroundWorker", "Worker"]
