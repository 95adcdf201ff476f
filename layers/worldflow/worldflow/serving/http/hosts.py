"""Names and addresses by which only this machine is reached."""

from __future__ import annotations

import ipaddress
import re

_HEADER = re.compile(r"(?:\[(?P<v6>[^]]*)\]|(?P<name>[^:]*))(?::\d*)?")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_this_machine(header: str) -> bool:
    """Whether a `Host` header is such a name.

    Not by `request.url`: there, Starlette replaces a header that it considers invalid, such as `{.evil.example`, by the
    server's own address.
    """
    found = _HEADER.fullmatch(header)
    return found is not None and is_loopback(found["v6"] or found["name"])
