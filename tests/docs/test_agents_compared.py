"""`docs/agents-compared.md` says what the programs of `benchmarks/agents` do and what was seen of them."""

from __future__ import annotations

from benchmarks.agents.rows import ROWS
from benchmarks.agents.systems import SYSTEMS
from tests.docs.pages import PROJECT, blocks

PAGE = "docs/agents-compared.md"
SEEN = (PROJECT / "benchmarks/agents.md").read_text()


def _table(text: str) -> list[str]:
    """The rows of the table that begins with the systems."""
    lines = text.splitlines()
    heading = next(number for number, line in enumerate(lines) if "| Worldflow | AWS" in line)
    return lines[heading : heading + 2 + len(ROWS)]


def test_its_table_is_what_was_seen() -> None:
    assert _table((PROJECT / PAGE).read_text()) == _table(SEEN)


def test_its_table_has_every_row_and_system() -> None:
    heading, _, *rows = _table(SEEN)

    assert [cell.strip() for cell in heading.split("|")[2:-1]] == [system.name for system in SYSTEMS]
    assert [row.split("|")[1].strip() for row in rows] == list(ROWS.values())


def test_its_python_stands_in_the_programs() -> None:
    programs = _flat("".join(path.read_text() for path in (PROJECT / "benchmarks/agents").glob("*.py")))

    assert [code for code in blocks(PAGE) if _flat(code) not in programs] == []


def test_its_errors_were_seen() -> None:
    assert [text for text in blocks(PAGE, "text") if _flat(text) not in _flat(SEEN)] == []


def _flat(text: str) -> str:
    """Text without its lines and their depth."""
    return " ".join(text.split())
