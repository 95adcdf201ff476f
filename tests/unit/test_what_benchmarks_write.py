"""The tables of `make bench`. What they measure is seen when it runs."""

import importlib
import re

import pytest

from benchmarks import step_functions
from benchmarks.__main__ import PARTS
from benchmarks.results import Section, machine, report
from worldflow.engine.workflow.definitions import Workflow

pytestmark = pytest.mark.one_python
SECTION = Section(
    title="Speed",
    command="python -m benchmarks speed",
    how="With a watch.",
    columns=("of", "ms"),
    rows=[["one", "1"], ["two", "2"]],
)


def test_a_section_says_how_to_make_it_again():
    assert SECTION.markdown() == (
        "## Speed\n\n`python -m benchmarks speed`\n\nWith a watch.\n\n"
        "| of | ms |\n| --- | ---: |\n| one | 1 |\n| two | 2 |\n"
    )


def test_a_report_says_where_it_was_made():
    text = report([SECTION, SECTION])

    assert machine() in text
    assert text.count("## Speed") == 2


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_sections(part: str):
    assert callable(importlib.import_module(f"benchmarks.{part}").sections)


def test_no_part_has_a_workflow_of_a_name_that_is_deployed():
    """What is given to the deployed one would be checked against it."""
    modules = [importlib.import_module(f"benchmarks.{part}") for part in PARTS]
    own = {value.name for module in modules for value in vars(module).values() if isinstance(value, Workflow)}
    deployed = set(re.findall(r"@workflow\nasync def (\w+)", step_functions.FLOW.read_text()))

    assert "bench_sequence" in deployed
    assert "local_sequence" in own
    assert not own & deployed
