"""When a blocked run looks whether its code can run by now.

What blocks a run is as a rule a deployment that is under way or is soon to be corrected, and no message may ever come
that would let it go on. So it pokes itself, three times: 1, 5 and 30 minutes after that began to wait which waits for
its code longest, by the history. One poke is on its way at a time. The turn that is first to find the run blocked sends
the next that is still to come, and so does the turn that a poke asks for. It is sent before the record says that the
run is blocked, so that a turn that dies in between is taken again as the first. Sent twice it is the same message; and
since the times count from what waits, and not from the turn, a poke that changes nothing brings no new ones about.
After the third the sweep remains, which pokes each blocked run once an hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeGuard

from worldflow.worlds.messages import Delayed, Poke, RunMessage

SECOND_LOOKS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))


_NONCE = "blocked-"


def is_look(message: RunMessage) -> TypeGuard[Poke]:
    """Whether a message is a poke that a blocked run has sent itself."""
    return isinstance(message, Poke) and message.nonce.startswith(_NONCE)


def next_look(run_id: str, waits_since: datetime, now: datetime, messages: Iterable[RunMessage] = ()) -> Delayed | None:
    """The poke that a blocked run is to get next; None if it has had all three.

    messages: what has come. By this process's clock a poke may come before its time, and sent again it would be a copy,
        which the queue drops.
    """
    come = (datetime.fromisoformat(one.nonce.removeprefix(_NONCE)) for one in messages if is_look(one))
    after = max([now, *come])
    for delay in SECOND_LOOKS:
        if (due := waits_since + delay) > after:
            return Delayed(due=due, message=Poke(run_id=run_id, nonce=f"{_NONCE}{due.isoformat()}"))
    return None
