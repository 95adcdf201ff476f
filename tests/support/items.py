"""What a write of an item is for, told from its key."""

from __future__ import annotations

from worldflow.worlds.items import Item


def name_of_write(key: str, item: Item | None, defaults: Item | None = None) -> str:
    """The function of `worldflow.worlds` that writes this."""
    kind, last = key.partition("#")[0], key.rpartition("#")[2]
    match kind, last:
        case "generation", _:
            return "put_generation"
        case "hook", _:
            return "put_hook" if item else "delete_hook"
        case "streams", _:
            return "put_streams" if item or defaults else "delete_streams"
        case "throttle", _:
            return "reserve"
        case "window", _:
            return "open window" if item else "forget window"
        case "joined", _:
            return "note place"
        case "schedule", _:
            return "put_schedule" if item else "remove_schedule"
        case _, "claim":
            return "claim"
        case _, "beat":
            return "abandon" if item and "abandoned" in item else "begin" if defaults else "beat"
    return "put_outcome"
