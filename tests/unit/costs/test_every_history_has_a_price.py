import pytest

from tests.histories.stored import files, load
from worldflow.costs import bill_of, count, elsewhere, shape_of
from worldflow.costs.commits import guessed_commits

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize("name", files())
def test_also_of_a_run_that_was_forked_blocked_or_refused_a_hook(name: str) -> None:
    history = load(files()[name])
    commits = guessed_commits(history.events)
    asked = count(history.header.run_id, commits)

    # Each commit is a write, to which a message led; so that nothing is left out where it is only estimated.
    assert asked.requests["dynamodb.PutItem"] >= len(commits)
    assert asked.messages >= 1
    assert bill_of(asked, 10).dollars > 0
    assert elsewhere(shape_of(history.events))[0].dollars > 0
