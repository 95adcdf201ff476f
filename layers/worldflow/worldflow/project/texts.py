"""The files of a project, as texts in UTF-8 whose lines end in `\\n`. A file with other ends of lines keeps them."""

from __future__ import annotations

from pathlib import Path

from worldflow.engine.errors import ConfigurationError


def read(file: Path) -> str | None:
    """The text of a file, or None if there is no such file. Raises `ConfigurationError` for one that is no UTF-8."""
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not in UTF-8: {error}") from None


def write(file: Path, text: str) -> None:
    """Writes a text, with the ends of lines that the file has."""
    newline = "\r\n" if file.is_file() and b"\r\n" in file.read_bytes() else "\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline=newline)
