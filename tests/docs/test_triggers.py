"""The code of docs/guide/triggers.md, run."""

from typing import Any


def test_a_function_that_makes_the_input() -> None:
    def of_upload(record: dict[str, Any]) -> dict[str, Any] | None:
        key = record["s3"]["object"]["key"]
        return None if key.endswith(".tmp") else {"path": key}

    assert of_upload({"s3": {"object": {"key": "a.csv"}}}) == {"path": "a.csv"}
    assert of_upload({"s3": {"object": {"key": "a.tmp"}}}) is None
