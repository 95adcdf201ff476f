import pytest

from tests.unit.determinism.conftest import Found

STEP = "@step\nasync def work(x=None): ...\n"


@pytest.mark.parametrize(
    "statement",
    [
        "for x in {'a', 'b'}:\n    await work(x)",
        "for x in set(names):\n    await work(x)",
        "for x in frozenset(order.names):\n    await work(x)",
        "async for x in set(names):\n    pass",
        "[work(x) for x in {'a', y}]",
        "[await work(x) for x in set(names)]",
        "{x: 1 for x in set(names)}",
        "list(work(x) for x in set(names))",
        "await asyncio.gather(*{names[0], names[1]})",
        "await asyncio.gather(*(work(x) for x in {f(y) for y in names}))",
        "return [*set(names)]",
        "a, *b = list({'a', 'b'})",
        "for i, x in enumerate(set(names)):\n    pass",
        "for x, y in zip(set(names), [1]):\n    pass",
        "dict.fromkeys(set(names))",
        "', '.join({'a', 'b'})",
        "xs = []\nxs.extend({'a', 'b'})",
        "s = {'a', 'b'}\nfor x in s:\n    pass",
        "s = set(names)\ns.pop()",
        "s = set()\ns.add(name)\nfor x in s:\n    pass",
        "for x in {'a'} | {1}:\n    pass",
        "for x in set(names) - {'a'}:\n    pass",
        "for x in set(names).difference('a'):\n    pass",
        "for x in a.keys() & b.keys():\n    pass",
        "for x in ({'a', 'b'} if y else [1]):\n    pass",
        "for x in skus:\n    pass",
        "for x in MODULE:\n    pass",
        "max([x for x in skus if await work(x)])",
        "s: set[tuple[str, int]] = f()\nfor x in s:\n    pass",
    ],
)
def test_walking_through_a_set_of_strings(found: Found, statement: str):
    (finding,) = found(statement, STEP + "MODULE = {'a', 'b'}\n", parameters="names, skus: set[str]")
    assert finding.what.startswith("the order of ")
    assert finding.instead.startswith("sorted(")


@pytest.mark.parametrize(
    "statement",
    [
        "for x in sorted({'a', 'b'}):\n    pass",
        "for x in sorted(set(names)):\n    pass",
        "for x in sorted(list(set(names))):\n    pass",
        "sorted(x for x in set(names)), sum(1 for x in skus), any(x for x in skus), len([x for x in skus])",
        "min(*skus), set(x for x in skus), {x for x in skus}, {*skus, 'a'}",
        "'a' in skus, skus == {'a'}, skus <= {'a'}, skus.add('c')",
        "for x in {1, 2, 3}:\n    pass",
        "for x in {(1, 2), (-3, 4)}:\n    pass",
        "for x in set(range(3)):\n    pass",
        "for x in numbers:\n    pass",
        "for x in set(counts):\n    pass",
        "for x in ['a', 'b']:\n    pass",
        "for x in {'a': 1, 'b': 2}:\n    pass",
        "for x in names.keys():\n    pass",
        "for x in dict.fromkeys(names):\n    pass",
        "tasks = {asyncio.create_task(work(x)) for x in names}\nfor task in tasks:\n    task.cancel()",
        "tasks = {work(1), work(2)}\nawait asyncio.gather(*tasks)",
        "tasks = set()\ntasks.add(asyncio.create_task(work()))\nfor task in tasks:\n    pass",
        "tasks = [asyncio.create_task(work(x)) for x in names]\nfor task in set(tasks):\n    pass",
        "tasks = set()\nwhile tasks:\n    _, tasks = await asyncio.wait(tasks)\n    for t in tasks:\n        pass",
        "tasks: set[asyncio.Task[int]] = set()\nfor task in tasks:\n    pass",
        "skus = sorted(f())\nfor x in skus.union:\n    pass",
        "def f(set):\n    for x in set(names):\n        pass",
    ],
)
def test_sets_whose_order_does_not_matter_or_is_the_same(found: Found, statement: str):
    parameters = "names, skus: set[str], numbers: set[int], counts: list[int]"
    assert found(statement, STEP, parameters) == []
