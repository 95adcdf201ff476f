import pytest

from worldflow.determinism import check, clashes

HEAD = "from worldflow import step, workflow\nimport worldflow as wf\n"
STEP = "@step\ndef charge(): ...\n"
FLOW = "@workflow\nasync def order(): ...\n"
LATER = '@workflow(name="order", version=2)\nasync def order2(): ...\n'


def found(*modules: str) -> list[tuple[str, str, str]]:
    """What clashes in modules of these texts: places, and what has the same name."""
    reports = [check(HEAD + text, f"{letter}.py") for letter, text in zip("abc", modules, strict=False)]
    clashing = clashes(definition for report in reports for definition in report.definitions)
    return [(f"{one.path}:{one.line}:{one.column}", one.what, one.why) for one in clashing]


@pytest.mark.parametrize(("text", "kind", "name"), [(STEP, "step", "charge"), (FLOW, "workflow", "order")])
def test_in_a_copy_of_a_module_is_found_with_both_places(text: str, kind: str, name: str):
    why = f"a.py:3:2 defines a {kind} of the same name"
    assert found(text, text) == [("b.py:3:2", f"{kind} {name!r}", why)]


@pytest.mark.parametrize(
    "other",
    [
        '@step(name="charge")\ndef pay(): ...\n',
        "@wf.step(retry=None)\nasync def charge(): ...\n",
        "def charge(): ...\ncharge_card = step(charge)\n",
        'def pay(): ...\ncharge = step(name="charge")(pay)\n',
        'def pay(): ...\ncharge = step(pay, name="charge")\n',
        "class Till:\n    @staticmethod\n    @step\n    def charge(): ...\n",
        "@step\ndef pay(): ...\n" + STEP,
    ],
)
def test_however_it_is_given(other: str):
    assert [what for _, what, _ in found(STEP, other)] == ["step 'charge'"]


def test_also_in_one_module():
    assert found(STEP + STEP) == [("a.py:5:2", "step 'charge'", "a.py:3:2 defines a step of the same name")]


def test_each_later_one_is_found():
    assert [place for place, _, _ in found(FLOW, FLOW, FLOW)] == ["b.py:3:2", "c.py:3:2"]


def test_versions_of_a_workflow_share_its_name():
    assert found(FLOW + LATER, '@workflow(name="order", version=3)\nasync def order3(): ...\n') == []
    assert [what for _, what, _ in found(FLOW + LATER, LATER)] == ["workflow 'order' (version 2)"]


@pytest.mark.parametrize(
    "other",
    [
        "from a import charge\n",
        "from a import charge as pay\ncharge = pay\n",
        "@workflow\nasync def charge(): ...\n",
        '@step(name="other")\ndef charge(): ...\n',
        "def charge(): ...\n",
        "def make():\n    @step\n    def charge(): ...\n    return charge\n",
        "try:\n    from a import charge\nexcept ImportError:\n    @step\n    def charge(): ...\n",
        "@step(name=f'{__name__}.charge')\ndef charge(): ...\n",
        "@step(**options)\ndef charge(): ...\n",
        "named = step(name='other')\n@named\ndef charge(): ...\n",
        "@step  # worldflow: allow\ndef charge(): ...\n",
        "@step\ndef charge(): ...  # worldflow: allow\n",
    ],
)
def test_what_is_no_second_definition_for_certain_is_left_alone(other: str):
    assert found(STEP, other) == []


def test_one_function_that_is_made_a_step_twice_is_one_step():
    assert found("def charge(): ...\none = step(charge)\nother = step(charge)\n") == []


def test_two_that_are_dynamic():
    text = "@workflow(dynamic=True)\nasync def {}(arguments): ...\n"
    clash = ("b.py:3:2", "a dynamic workflow", "a.py:3:2 defines a dynamic workflow")
    assert found(text.format("order"), text.format("pay")) == [clash]
    assert found(text.format("order"), FLOW) == []
