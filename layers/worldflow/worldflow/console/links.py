"""Where AWS shows a run: its log and its trace."""

from __future__ import annotations

import os
from urllib.parse import quote

from worldflow.engine.traceparent import run_context
from worldflow.worlds.aws.world import AWSWorld
from worldflow.worlds.records import RunRecord

_WEEK = 7 * 86_400


def links(world: AWSWorld, run: RunRecord) -> dict[str, str]:
    """Pages of the AWS console about a run, by what they show; none for a local AWS."""
    session = world.access.session
    if os.environ.get("AWS_ENDPOINT_URL"):
        return {}
    region = session.region_name
    site = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    stack = world.settings.runs_table.partition("-RunsTable")[0]
    query = (
        f'SOURCE logGroups(namePrefix: ["{stack}-", "/aws/lambda/{stack}-"]) '
        f'| fields @timestamp, level, message | filter run_id = "{run.run_id}" | sort @timestamp'
    )
    detail = f"~(end~0~start~-{_WEEK}~timeType~'RELATIVE~unit~'seconds~editorString~'{_odd(query)})"
    trace = run_context(run.run_id, run.created_at, run.traceparent).trace_id
    return {
        "Logs": f"{site}#logsV2:logs-insights$3FqueryDetail$3D{detail}",
        "Trace": f"{site}#xray:traces/1-{trace[:8]}-{trace[8:]}",
    }


def _odd(text: str) -> str:
    """Text within these addresses: an asterisk in place of each percent sign."""
    return quote(text, safe="").replace("%", "*")
