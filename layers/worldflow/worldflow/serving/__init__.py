"""What receives messages: the Lambda handlers, and the worker of a `LocalWorld`."""
