"""CloudWatch Logs: saved queries.

Wrong, and what AWS does:

- `AWS::Logs::QueryDefinition` is unknown, so that no template with one is deployed. AWS saves the query under its name.
  (Nobody asks for it here: it is checked and forgotten.)
"""

from typing import Any

from ministack.services.cloudformation import provisioners


def apply() -> None:
    handler = {"create": _save, "update": _save_again, "delete": _forget}
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = handler


def _save(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
    if missing := {"Name", "QueryString"} - properties.keys():
        raise ValueError(f"{logical_id} has no {', '.join(sorted(missing))}")
    return f"{stack}-{logical_id}", {}


def _save_again(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, *_: Any) -> Any:
    return _save(physical_id, new, stack)


def _forget(physical_id: str, properties: dict[str, Any]) -> None:
    pass
