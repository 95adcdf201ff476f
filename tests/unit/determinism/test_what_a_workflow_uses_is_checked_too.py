import textwrap

import pytest

from tests.unit.determinism.conftest import Found
from worldflow.determinism import check

HELPERS = """
    import time
    from functools import partial

    def first():
        return second()

    def second():
        return first() if time.time() else None

    class Clock:
        def now(self):
            return time.time()

        @classmethod
        def make(cls):
            return time.time()
    """


@pytest.mark.parametrize(
    ("statement", "function"),
    [
        ("first()", "second"),
        ("await asyncio.gather(*map(first, [1]))", "second"),
        ("asyncio.create_task(second())", "second"),
        ("f = first\nf()", "second"),
        ("partial(second, 1)()", "second"),
        ("lambda: second()", "second"),
        ("Clock().now()", "now"),
        ("clock = Clock()\nclock.now()", "now"),
        ("Clock.make()", "make"),
    ],
)
def test_functions_of_the_module_are_followed(found: Found, statement: str, function: str):
    (finding,) = found(statement, HELPERS)
    assert (finding.what, finding.function, finding.workflow) == ("time.time", function, "flow")


def test_methods_that_nobody_calls_are_not(found: Found):
    assert found("Clock()", HELPERS) == []


@pytest.mark.parametrize(
    "body",
    [
        "def inner():\n    return time.time()\ninner()",
        "async def inner():\n    return time.time()\nawait inner()",
        "def inner(at=time.time()):\n    return at\ninner()",
        "@on_update('x')\ndef inner():\n    return time.time()",
        "inner = lambda: time.time()",
    ],
)
def test_functions_in_the_workflow_are_checked(found: Found, body: str):
    (finding,) = found(body, "import time")
    assert finding.what == "time.time"


@pytest.mark.parametrize(
    "line",
    [
        "id: str = field(default_factory=lambda: uuid.uuid4().hex)",
        "id: uuid.UUID = Field(default_factory=uuid.uuid4)",
        "def __init__(self):\n        self.id = uuid.uuid4()",
        "def __post_init__(self):\n        self.id = uuid.uuid4()",
    ],
)
def test_what_making_an_instance_runs(found: Found, line: str):
    module = f"import uuid\n\nclass Order:\n    {line}\n"
    (finding,) = found("Order()", module)
    assert (finding.what, finding.function) in [("uuid.uuid4", "Order"), ("uuid.uuid4", finding.function)]
    assert found("def f(order: Order) -> Order: ...", module) == []


def test_a_default_of_the_workflow_itself(found: Found):
    (finding,) = found("return at", "import time", parameters="at=time.time()")
    assert finding.what == "time.time"


def test_a_function_that_two_workflows_use_is_told_once():
    source = """
        import time
        from worldflow import workflow

        def helper():
            return time.time()

        @workflow
        async def one():
            helper()

        @workflow
        async def two():
            helper()
            await one()
        """
    report = check(textwrap.dedent(source), "flows.py")
    assert report.workflows == ("one", "two")
    (finding,) = report.findings
    assert (finding.function, finding.workflow) == ("helper", "one")


@pytest.mark.parametrize(
    ("imports", "decorated"),
    [
        ("from worldflow import workflow", "@workflow\nasync def flow():"),
        ("from worldflow import workflow", "@workflow()\nasync def flow():"),
        ("from worldflow import workflow as durable", "@durable(name='x')\nasync def flow():"),
        ("import worldflow", "@worldflow.workflow\nasync def flow():"),
        ("import worldflow as wf", "@wf.workflow(timeout='3d')\nasync def flow():"),
        ("from worldflow import *", "@workflow\nasync def flow():"),
        ("from worldflow.engine.workflow.decorators import workflow", "@workflow\nasync def flow():"),
        ("import worldflow\ndurable = worldflow.workflow(name='x')", "@durable\nasync def flow():"),
        ("from worldflow import workflow", "@other\n@workflow\nasync def flow():"),
    ],
)
def test_workflows_are_known_by_any_name(imports: str, decorated: str):
    report = check(f"import time\n{imports}\n{decorated}\n    time.time()\n", "flows.py")
    assert report.workflows == ("flow",)
    assert len(report.findings) == 1


@pytest.mark.parametrize("call", ["workflow(f)", "workflow(name='x')(f)"])
def test_a_workflow_made_by_a_call(call: str):
    source = f"import time\nfrom worldflow import workflow\nasync def f():\n    time.time()\nflow = {call}\n"
    assert len(check(source, "flows.py").findings) == 1


def test_workflows_in_functions_classes_and_branches():
    source = """
        import time
        def test():
            from worldflow import workflow
            @workflow
            async def one(): time.time()
            if True:
                @workflow
                async def two(): time.time()
        try:
            import worldflow
            class Flows:
                @worldflow.workflow
                async def three(): time.time()
        except ImportError:
            pass
        """
    report = check(textwrap.dedent(source), "flows.py")
    assert report.workflows == ("one", "two", "three")
    assert len(report.findings) == 3
