"""Bytes are carried whether or not they are text, wherever they stand."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from worldflow.engine.values.serialization import Codec


class Document(BaseModel):
    content: bytes
    pages: list[bytes] = []
    named: dict[str, bytes | None] = {}


@dataclass
class Scan:
    content: bytes


class Folder(BaseModel):
    scans: list[Scan]
    document: Document | None = None


class Hexadecimal(BaseModel):
    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")
    content: bytes


class Short(BaseModel):
    content: bytes = Field(max_length=2)


class Part(TypedDict):
    content: bytes


class Row(NamedTuple):
    content: bytes


@dataclass
class Tree:
    content: bytes
    children: "list[Tree]"


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8", b"data:;base64,", b"data:;base64,/9g=", bytes(range(256))])
@pytest.mark.parametrize(
    ("annotation", "make"),
    [
        (bytes, lambda data: data),
        (list[bytes], lambda data: [data]),
        (Document, lambda data: Document(content=data, pages=[data], named={"a": data, "b": None})),
        (Scan, Scan),
        (list[Scan], lambda data: [Scan(data)]),
        (Folder, lambda data: Folder(scans=[Scan(data)], document=Document(content=data))),
        (dict[str, Folder | None], lambda data: {"a": Folder(scans=[Scan(data)])}),
        (Hexadecimal, lambda data: Hexadecimal(content=data)),
        (Part, lambda data: {"content": data}),
        (list[Part], lambda data: [{"content": data}]),
        (Row, Row),
        (Tree, lambda data: Tree(data, [Tree(data, [])])),
    ],
)
def test_they_come_back(annotation: Any, make: Any, data: bytes):
    codec = Codec(annotation, "value")
    assert codec.decode(codec.encode(make(data))) == make(data)


def test_those_that_are_text_stay_text_in_a_model_as_earlier_versions_wrote_them():
    codec = Codec(Document, "value")
    assert codec.encode(Document(content=b"abcd")) == {"content": "abcd"}
    assert codec.decode({"content": "abcd"}) == Document(content=b"abcd")


def test_their_limits_are_those_of_the_bytes():
    codec = Codec(Short, "value")
    assert codec.decode(codec.encode(Short(content=b"\xff\xd8"))) == Short(content=b"\xff\xd8")
