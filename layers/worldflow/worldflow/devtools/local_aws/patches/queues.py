"""Queues: no message is lost, and none is delayed for longer than SQS can.

Wrong, and what AWS does:

- A queue is a plain list. Requests change it on the event loop's thread, the event source poller and the Scheduler's
  ticker change it from theirs, and `queue["messages"] = kept` in one of them forgets what the other has just appended.
  SQS does not lose messages. Here everything that touches a queue runs on the event loop's thread.
- Any `DelaySeconds` is accepted. SQS refuses more than 15 minutes.
"""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ministack import app
from ministack.services import eventbridge, sqs

_MAXIMUM_DELAY = 900

_send_message = sqs._act_send_message


def apply() -> None:
    sqs._act_send_message = sqs._HANDLERS["SendMessage"] = _send
    sqs._receive_messages_for_esm = _on_the_event_loop(sqs._receive_messages_for_esm)
    sqs._delete_messages_for_esm = _on_the_event_loop(sqs._delete_messages_for_esm)
    eventbridge._dispatch_to_sqs = _on_the_event_loop(eventbridge._dispatch_to_sqs)


def _send(data: dict[str, Any], queue_url: str) -> Any:
    delay = data.get("DelaySeconds")
    if delay is not None and int(delay) > _MAXIMUM_DELAY:
        reason = f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        raise sqs._Err("InvalidParameterValue", reason)
    return _send_message(data, queue_url)


def _on_the_event_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        loop = app._MAIN_LOOP
        if threading.get_ident() == loop._thread_id:
            return function(*args)
        context = contextvars.copy_context()
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(context.run(function, *args))
            except BaseException as error:
                done.set_exception(error)

        loop.call_soon_threadsafe(run)
        return done.result()

    return call
