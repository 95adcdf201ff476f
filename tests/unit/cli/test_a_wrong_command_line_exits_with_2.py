import pytest

from tests.unit.cli.conftest import Cli


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["start"], "Missing argument"),
        (["start", "ask", "--input", "{"], "not JSON"),
        (["start", "ask", "--input", "[1]"], "must be a JSON object"),
        (["start", "ask", "--input", "@nowhere.json"], "nowhere.json: No such file"),
        (["signal", "one", "answer", "--value", "yes"], "not JSON"),
        (["events", "one", "--after", "-1"], "'--after'"),
        (["list", "--status", "sleepy"], "Invalid value for '--status': 'sleepy' is not one of"),
        (["list", "--limit", "0"], "'--limit'"),
        (["list", "--attribute", "customer"], "'customer' does not have the form NAME=VALUE"),
        (["list", "--attribute", "=3"], "'=3' does not have the form NAME=VALUE"),
        (["start", "ask", "--reuse", "always"], "'always' is not one of"),
        (["start", "ask", "--if-running", "explode"], "'explode' is not one of"),
        (["update", "one", "add", "--args", "{}"], "must be a JSON array"),
        (["update", "one", "add", "--args", "["], "not JSON"),
        (["update", "one", "add", "--timeout", "soon"], "'soon' is not a duration"),
        (["hook", "front-door", "--value", "yes"], "not JSON"),
        (["fork", "one", "two"], "is needed, unless an event is edited"),
        (["fork", "one", "two", "--after", "0"], "'--after'"),
        (["dance"], "No such command"),
    ],
)
def test_and_nothing_is_stored(cli: Cli, args: list[str], complaint: str):
    assert complaint in " ".join(cli.fails(*args, code=2).split())
    assert not cli.file.exists()
