"""A source is cut into pages between its records, and each page is read alone."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worldflow import FatalError
from worldflow.sources import S3Csv, S3Lines, S3Objects, records, steps, stores

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(data: bytes) -> Path:
        path = tmp_path / "some data.txt"
        path.write_bytes(data)
        return path

    return put


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads, portions and records are small, so that they end anywhere."""
    monkeypatch.setattr(stores, "_CHUNK", 7)
    monkeypatch.setattr(steps, "_PORTION_BYTES", 40)
    monkeypatch.setattr(records, "LONGEST", 60)


def pages(source: Any, page_size: int) -> list[list[Any]]:
    """The items of each page, as a map reads them."""
    given, state, found = source._as_json(), None, []
    while True:
        portion = json.loads(json.dumps(steps.walk_source(given, page_size, state)))
        for count, *place in portion["pages"]:
            found.append(steps.read_page(given, portion["pin"], place))
            assert len(found[-1]) == count
        state = portion["next"]
        if state is None:
            return found


def lines(path: Path, page_size: int = 2) -> list[list[Any]]:
    return pages(S3Lines(path.as_uri()), page_size)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("data", "items"),
    [
        (b'{"n": 1}\n{"n": 2}\n{"n": 3}\n', [[{"n": 1}, {"n": 2}], [{"n": 3}]]),
        (b'{"n": 1}\r\n"two"\r\n[3]', [[{"n": 1}, "two"], [[3]]]),
        ("\ufeff1\n\n  \n2\n\r\n\n3\n4\n\n".encode(), [[1, 2], [3, 4]]),
        ('"één"\n"日本語 and so on"\n'.encode(), [["één", "日本語 and so on"]]),
        (b"1", [[1]]),
        (b"", []),
        (b"\n\n", []),
        ("\ufeff".encode(), []),
    ],
    ids=["unix", "windows", "empty lines", "unicode", "one", "empty", "nothing but ends", "nothing but a mark"],
)
def test_lines(write: Write, data: bytes, items: list[Any]) -> None:
    assert lines(write(data)) == items


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(30))
def test_pages_of_csv_are_the_records_that_csv_reads(write: Write, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(records, "LONGEST", 10_000)
    end = chance.choice(["\n", "\r\n"])
    parts = ["a", "é", " ", ",", ";", '""', "5", "\n", "\r\n"]

    def field() -> str:
        text = "".join(chance.choices(parts, k=chance.randrange(6)))
        if chance.random() < 0.5:
            return f'"{text}"' + chance.choice(["", "", "tail"])
        bare = "".join(part for part in text if part not in ',;"\r\n')
        return "x" + bare + chance.choice(["", '5" of it'])  # a quote that opens nothing

    delimiter = chance.choice([",", ";"])
    rows = [delimiter.join(field() for _ in range(3)) for _ in range(chance.randrange(30))]
    text = end.join(["one" + delimiter + '"t\nwo"' + delimiter + "three", *rows]) + chance.choice(["", end])
    text = chance.choice(["", "\ufeff"]) + text
    size = chance.randrange(1, 8)

    found = pages(S3Csv(write(text.encode()).as_uri(), delimiter=delimiter), size)

    expected = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter))
    assert [row for page in found for row in page] == expected
    assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)


def test_csv_with_no_records(write: Write) -> None:
    assert pages(S3Csv(write(b"a,b\n\n").as_uri()), 2) == []
    assert pages(S3Csv(write(b"").as_uri()), 2) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'1\n\n{"n": "\xc3\xa9", oops}\n', r"line 3 \(byte 15\) is not JSON: Expecting property name"),
        (b"\xef\xbb\xbf1\r\nNaN\r\n", r"line 2 \(byte 6\) is not JSON: NaN is no number of JSON"),
        (b'1\n"\xff"\n', r"line 2 \(byte 3\) is not UTF-8"),
        (b'1\n"\\ud83d"\n', r"line 2 \(byte 2\) is not JSON: .*surrogates not allowed"),
        (b"1\n" + b"2" * 61, r"line 2 \(byte 2\): it is longer than"),
        (b"\xff\xfe1\x00", "is in UTF-16; a map reads UTF-8"),
        (b"\x1f\x8b\x08", "is compressed with gzip, and cannot be read in parts"),
    ],
    ids=["json", "no number", "utf-8", "half a pair", "length", "utf-16", "gzip"],
)
def test_what_is_wrong_with_a_line(write: Write, data: bytes, problem: str) -> None:
    with pytest.raises(FatalError, match=problem):
        lines(write(data))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a,b\n1,2\n1,2,3\n", r"line 3 \(byte 8\) has 3 fields, and the header 2"),
        (b'a,b\n"1\n2",3\n4\n', r"line 4 \(byte 12\) has 1 fields, and the header 2"),
        (b'a,b\n1,2\n3,"4\n5,6\n', r"line 3 \(byte 8\) begins a quoted field that has no end"),
        (b'a,b\n1,"' + b"2\n" * 40, r"line 2 \(byte 4\): a quoted field that begins there has no end within"),
        (b"a,a\n1,2\n", "the header in line 1 has 'a' more than once"),
    ],
    ids=["more", "fewer", "quote", "long quote", "header"],
)
def test_what_is_wrong_with_a_record_of_csv(write: Write, data: bytes, problem: str) -> None:
    with pytest.raises(FatalError, match=problem):
        pages(S3Csv(write(data).as_uri()), 2)


def test_a_page_ends_after_so_many_bytes(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_PAGE_BYTES", 10)
    assert [len(page) for page in lines(write(b"12345678\n" * 5), 1_000)] == [2, 2, 1]


def test_a_walk_is_done_in_portions(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_PORTION_PAGES", 2)
    source = S3Lines(write(b"1\n2\n3\n4\n5\n").as_uri())._as_json()
    first = steps.walk_source(source, 2, None)
    assert (len(first["pages"]), first["share"]) == (2, 0.8)
    assert steps.walk_source(source, 2, first["next"])["pages"] == [[1, 8, 10, 5]]


def test_the_objects_below_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_PORTION_PAGES", 1)
    for name in ("b/2", "b/1", "b/3/4", "c", "bc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = pages(S3Objects(f"{tmp_path.as_uri()}/b"), 2)
    names = [f"{tmp_path}/{name}" for name in ("b/1", "b/2", "b/3/4", "bc")]
    assert found == [names[:2], names[2:]]


def test_a_file_that_is_replaced_or_not_there(write: Write) -> None:
    path = write(b"1\n2\n")
    source = S3Lines(path.as_uri())._as_json()
    portion = steps.walk_source(source, 1, None)
    path.write_bytes(b"1\n2\n3\n")
    with pytest.raises(FatalError, match=r"some%20data.txt was replaced while a map read it"):
        steps.read_page(source, portion["pin"], portion["pages"][1][1:])
    path.unlink()
    with pytest.raises(FatalError, match=r"there is no file .*some data\.txt"):
        steps.walk_source(source, 1, None)


def test_no_file_is_read_on_lambda(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator who edits a run's input is not to read the credentials of a function."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "steps")
    with pytest.raises(FatalError, match="reads files on a LocalWorld only"):
        lines(write(b"1\n"))


@pytest.mark.parametrize("url", ["bucket/key", "s3://bucket", "s3:///key", "file://host/x", "https://a/b", "file:///"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="S3Lines\\(\\) takes an s3://bucket/key or a file:///path"):
        S3Lines(url)


def test_a_prefix_may_be_a_whole_bucket_and_a_delimiter_is_one_character() -> None:
    assert S3Objects("s3://bucket").url == "s3://bucket"
    with pytest.raises(ValueError, match="takes one ASCII character, not ';;'"):
        S3Csv("s3://bucket/key", delimiter=";;")
