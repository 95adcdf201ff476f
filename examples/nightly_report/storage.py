"""Text in files of a folder, or in objects of S3 below a prefix: `sales` or `s3://my-bucket/sales`."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def names(place: str) -> list[str]:
    """The addresses of all that is below a place, in order."""
    if not place.startswith("s3://"):
        return sorted(str(path) for path in Path(place).rglob("*") if path.is_file())
    bucket, prefix = _split(place)
    pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return sorted(f"s3://{bucket}/{entry['Key']}" for page in pages for entry in page.get("Contents", ()))


def read(address: str) -> str:
    if not address.startswith("s3://"):
        return Path(address).read_text()
    bucket, key = _split(address)
    return str(_s3().get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def write(address: str, text: str) -> None:
    if not address.startswith("s3://"):
        Path(address).parent.mkdir(parents=True, exist_ok=True)
        Path(address).write_text(text)
        return
    bucket, key = _split(address)
    _s3().put_object(Bucket=bucket, Key=key, Body=text.encode())


def _split(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.netloc, parts.path.strip("/")


def _s3() -> Any:
    import boto3  # only where there is S3

    return boto3.client("s3")  # pyright: ignore[reportUnknownMemberType]
