"""The worker, which serves a `LocalWorld`. Its code is in `serving/worker.py`."""

from worldflow.serving.worker import Worker

__all__ = ["Worker"]
