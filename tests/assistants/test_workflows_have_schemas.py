from dataclasses import dataclass

from pydantic import BaseModel

from tests.support.assistant import Assistant
from worldflow import workflow


class Address(BaseModel):
    street: str


@dataclass
class Parcel:
    grams: int


@workflow(signals={"moved": Address})
async def delivers_for_assistants(to: Address, sender: Address, parcels: list[Parcel], express: bool = False) -> Parcel:
    """Delivers parcels."""
    return parcels[0]


def test_the_schema_of_an_input(reader: Assistant) -> None:
    (found,) = (
        told for told in reader.call("list_workflows")["workflows"] if told["name"] == "delivers_for_assistants"
    )

    schema = found["input_schema"]
    assert schema["required"] == ["to", "sender", "parcels"]
    assert schema["properties"]["express"] == {"type": "boolean", "default": False}
    assert schema["properties"]["to"] == schema["properties"]["sender"] == {"$ref": "#/$defs/Address"}
    assert schema["$defs"]["Address"]["required"] == ["street"]
    assert found["signals"]["moved"]["required"] == ["street"]
    assert found["result_schema"]["properties"]["grams"]["type"] == "integer"
    assert found["description"] == "Delivers parcels."
