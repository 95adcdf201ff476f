"""A replay does not depend on addresses in memory or on the seed of hashes: another process decides the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.driver import Drive
from tests.support.programs import everything, replay_text
from worldflow.engine.history import dump_events

ROOT = Path(__file__).parents[3]


def test_it_decides_the_same(drive: Drive):
    run = drive(everything, 40)
    turn = 0
    while not run.ended:
        turn = turn * 31 + 7
        work = [*run.open_steps(), *run.state.timers]
        chosen = work[turn % len(work)]
        if chosen in run.state.timers:
            run.fire(chosen)
        elif turn % 5 == 0:
            run.fail(chosen, ValueError(chosen))
        else:
            run.complete(chosen, turn % 1000)
        if turn % 7 == 0:
            run.signal("nudge", turn % 100) if not run.ended else None
    assert len(run.history) > 150
    for hash_seed in ("1", "424242"):
        answer = subprocess.run(
            [sys.executable, "-c", "from tests.support.programs import main; main()"],
            input=dump_events(run.history),
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout) == json.loads(replay_text(dump_events(run.history)))
