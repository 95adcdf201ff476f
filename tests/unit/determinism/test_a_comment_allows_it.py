import pytest

from tests.unit.determinism.conftest import Found


@pytest.mark.parametrize(
    "statement",
    [
        "time.time()  # worldflow: allow",
        "time.time()  # worldflow:allow  only for the log",
        "time.time()  # noqa: X1  # worldflow: allow",
        "time.time(  # worldflow: allow\n    1,\n)",
        "for x in set(names):  # worldflow: allow\n    pass",
        "global total  # worldflow: allow",
        "helper()  # worldflow: allow",
    ],
)
def test_on_its_line(found: Found, statement: str):
    assert found(statement, "import time\ndef helper():\n    return time.time()", "names") == []


@pytest.mark.parametrize(
    "statement",
    [
        "# worldflow: allow\ntime.time()",
        "time.time()  # worldflow: allowed?",
        "time.time()  # allow",
        "time.time(), '# worldflow: allow'",
    ],
)
def test_and_nowhere_else(found: Found, statement: str):
    assert len(found(statement, "import time")) == 1
