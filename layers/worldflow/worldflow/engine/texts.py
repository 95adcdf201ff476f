"""Text that UTF-8 has, and text that it does not have: half of a character, as Python puts it into names of files."""

from __future__ import annotations


def is_text(text: str) -> bool:
    """Whether UTF-8 has a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(value: object) -> str:
    """The text of a value; with backslash escapes where UTF-8 cannot encode it."""
    return str(value).encode("utf-8", "backslashreplace").decode()
