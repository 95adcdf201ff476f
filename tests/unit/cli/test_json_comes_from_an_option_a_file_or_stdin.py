from pathlib import Path

from tests.unit.cli.conftest import Cli

JSON = '{"question": "¿Qué?"}'


def test_input_from_the_option(cli: Cli):
    assert cli.json("start", "ask", "--input", JSON)["input"] == {"question": "¿Qué?"}


def test_input_from_a_file(cli: Cli, tmp_path: Path):
    (tmp_path / "input.json").write_text(JSON, encoding="utf-8")
    assert cli.json("start", "ask", "--input", f"@{tmp_path}/input.json")["input"] == {"question": "¿Qué?"}


def test_input_from_stdin(cli: Cli):
    assert cli.json("start", "ask", "--input", "-", stdin=JSON)["input"] == {"question": "¿Qué?"}


def test_the_value_of_a_signal_from_a_file(cli: Cli, tmp_path: Path):
    (tmp_path / "value.json").write_text("[1, 2]")
    cli("start", "ask", "--run-id", "one")
    cli("signal", "one", "answer", "--value", f"@{tmp_path}/value.json")
    cli.settle()
    assert cli.json("status", "one")["result"] == {"Well?": [1, 2]}
