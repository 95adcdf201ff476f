"""Starts runs for records of SQS, EventBridge, S3, DynamoDB Streams and Kinesis: in a Lambda function of its own.

Its code is in `serving/trigger_handler.py`.
"""

from worldflow.serving.trigger_handler import Triggered, create_trigger_handler

__all__ = ["Triggered", "create_trigger_handler"]
