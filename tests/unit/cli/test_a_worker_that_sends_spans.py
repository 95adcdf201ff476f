import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import clock
from tests.support.otlp import otlp_collector
from tests.unit.cli.conftest import FLOWS, Cli

ROOT = Path(__file__).parents[3]


def serve(cli: Cli, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "worldflow", "worker", "--local", str(cli.file), "-w", FLOWS, "--json"]
    return subprocess.Popen(
        [*command, "--otlp", url], env=clock.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_all_of_them_have_arrived_when_it_has_ended(cli: Cli):
    with otlp_collector() as collector, serve(cli, collector.url) as worker:
        try:
            assert worker.stdout is not None
            assert json.loads(worker.stdout.readline())["local"] == str(cli.file)
            cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}', "--wait")
            worker.send_signal(signal.SIGTERM)
            _, errors = worker.communicate(timeout=10)
        finally:
            worker.kill()
        assert (worker.returncode, errors) == (0, "")

    run = collector.one("run tomorrow")
    assert run.attributes["worldflow.run_id"] == "one"
    assert {span.parent_id for span in collector.spans} == {"", run.span_id}
    assert sorted(span.name for span in collector.spans) == [
        "run tomorrow",
        "step day_after",
        "turn tomorrow",
        "turn tomorrow",
    ]


@pytest.mark.parametrize("url", ["localhost:4318", "http://"])
def test_what_is_no_endpoint_is_said_at_once(cli: Cli, url: str):
    assert "use a URL such as" in cli.fails("worker", "-w", FLOWS, "--otlp", url)
