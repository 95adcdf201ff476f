"""What a run's history asks of the world, once it is committed.

Steps are sent, timers set, children and next generations started, tokens of hooks held, and a run's end is told to its
parent. Each act is known by ids that the history has, so that doing it twice is harmless: after a crash everything open
is done again. Only `cancel_obsolete`, which tidies up, is done once and may be lost.
"""

from worldflow.turns.acts.acts import Acts, Obsolete, carry_out, following_record, never

__all__ = ["Acts", "Obsolete", "carry_out", "following_record", "never"]
