import pytest

from tests.unit.determinism.conftest import Found

WORK = "async def work(): ...\n"


@pytest.mark.parametrize(
    ("options", "guarantee"),
    [
        ("at_most_once=True", '"at_most_once"'),
        ("pure=True", '"pure"'),
        ("idempotent=False", '"repeatable"'),
        ("at_most_once=False", '"at_least_once"'),
        ("at_most_once=ONCE", "..."),
        ("at_most_once=True, pure=True", "..."),
    ],
)
@pytest.mark.parametrize("module", ["@step({})\n" + WORK, WORK + "paid = step(name='work', {})(work)\n"])
def test_are_hints(found: Found, module: str, options: str, guarantee: str):
    (finding,) = found("await work()", module.format(options))
    assert finding.is_hint
    assert finding.what == f"@step({options})"
    assert finding.instead == f"@step(guarantee={guarantee})"
    assert (finding.function, finding.workflow) == ("", "")


def test_a_guarantee_and_a_function_of_their_own_are_fine(found: Found):
    assert found("await work()", '@step(inline=True, guarantee="pure")\n' + WORK) == []
    assert found("await work()", "@mark(pure=True)\n" + WORK) == []


def test_may_be_allowed(found: Found):
    assert found("await work()", "@step(pure=True)  # worldflow: allow\n" + WORK) == []


def test_a_step_with_a_guarantee_is_a_step(found: Found):
    assert (
        found("await work()", 'import time\n@step(guarantee="repeatable")\ndef work():\n    return time.time()\n') == []
    )
    (finding,) = found("work()", '@step(guarantee="repeatable")\n' + WORK)
    assert finding.instead == "await work()"
