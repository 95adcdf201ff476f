"""`/metrics`: what monitoring reads of a LocalWorld, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from worldflow.worlds.local.gauges import Gauges


def exposition(gauges: Gauges) -> str:
    queues = gauges.queues
    families: list[tuple[str, str, Iterable[tuple[Mapping[str, str], float]]]] = [
        ("runs", "Runs by status.", [({"status": status}, count) for status, count in sorted(gauges.runs.items())]),
        (
            "queue_messages",
            "Messages that wait to be received.",
            [({"queue": queue}, each.waiting) for queue, each in queues.items()],
        ),
        (
            "queue_in_flight",
            "Messages that a worker has received and not handled yet.",
            [({"queue": queue}, each.in_flight) for queue, each in queues.items()],
        ),
        (
            "queue_oldest_seconds",
            "Age of the oldest message that waits.",
            [({"queue": queue}, each.oldest) for queue, each in queues.items()],
        ),
        ("timers", "Messages that are due later: timers, retries, schedules.", [({}, gauges.delayed)]),
        ("oldest_open_step_seconds", "Age of the oldest attempt that waits or runs.", [({}, gauges.oldest_step)]),
        ("served", "1 if a worker serves the file.", [({}, int(gauges.is_served))]),
    ]
    lines: list[str] = []
    for name, help, samples in families:
        lines += [f"# HELP worldflow_{name} {help}", f"# TYPE worldflow_{name} gauge"]
        for labels, value in samples:
            shown = ",".join(f'{label}="{text}"' for label, text in labels.items())
            lines.append(f"worldflow_{name}{{{shown}}} {value}" if shown else f"worldflow_{name} {value}")
    return "\n".join(lines) + "\n"
