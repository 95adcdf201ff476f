"""Helpers that raise, in a file of their own."""


class HelperError(Exception):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def raise_deep(depth: int = 2) -> None:
    if depth:
        raise_deep(depth - 1)
    raise HelperError("error from a helper", code=7)
