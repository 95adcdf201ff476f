"""The HTTP API of the stack over a LocalWorld file, as an ASGI application: `python -m worldflow serve`."""
