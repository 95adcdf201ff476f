"""A simulation of the stack under faults, which a seed decides.

What is real: the engine, the turns, the executor, the requests of users, the handlers of the functions with the events
that Lambda gives them, the messages as text, histories and records as JSON. What is not: AWS (`world.py`, `queues.py`),
time, and chance.

    simulation.py   one seed: processes, queues, an agenda, and the one clock; `happen` lets one thing happen
    world.py        the world as one process sees it: each of its requests may fail in each way
    archive.py      its archive
    queues.py       SQS: groups, visibility, deduplication for five minutes, dead letters
    processes.py    Lambda: warm processes, batches, invocations that take too long
    executions.py   the attempts of steps that run, and what is known of each
    faults.py       what goes wrong, how often, and whether it does here
    incidents.py    what befalls the whole stack: deployments, outages, and the end of all that
    deployments.py  code that is good, old, missing, in another order, raises, or spins
    processor.py    the time of the processor, which code says that it takes
    programs.py     the workflows: programs made up by chance, and the example of an order
    crowds.py       many runs of a workflow with a limit, a throttle, a debounce, a batch or a schedule; and operators
    recurring.py    schedules that recur
    users.py        who asks for what, and what was accepted
    course.py       a seed from beginning to end
    invariants.py   what must hold, and when it is asked
    runs.py         a run as the store has it
    of_each.py      what must hold of each run
    of_all.py       what must hold of all runs together
    crowding.py     what must hold of crowds
    limiting.py     what must hold of limits
    ownership.py    what must hold of values and of what the garbage collector closes
    guards.py       what the engine does for it, and how to take that out
    shrinking.py    a failing seed with as few faults as it takes

**Course.** For some hundreds of happenings everything may go wrong. Then good code is deployed and faults stop, and
whatever is to happen happens, from moment to moment. At rest, with nobody's help, the invariants are checked. Then the
sweep goes round for a day: what it helps is counted, and what was well it must leave alone. At last all open runs are
asked to end, and then told to; and in some seeds they are archived, while things go wrong again.

**Processes** take turns without threads: at a request of one, others may do all of their work before it goes on. So
two orchestrators are on one run, a message comes in the middle of a turn, and a timer is due while a step runs. A
process dies by `Crash`, which is raised at each of its requests from then on.

**Faults** are drawn by place (which process, request and run, and for how many times) and not one after the other: to
take one away leaves the others where they are, as far as that is possible. A seed has some kinds of faults, at some
rate, and not all of them, since one kind hides another.

**To use it**: `make simulate SEEDS=1000` runs seeds and tells how many faults of each kind there were; `SEED=n` runs
one, and prints the shortest trace that still fails. A seed is one of this code: with other code it is another story. To
see that an invariant finds what it is for, take out a guard: `python -m tests.simulation --without NAME`.

**Values and garbage.** Workflows change whatever they are given, in place, and leave generators in reference cycles
whose `finally` would decide something. The garbage collector works where the seed says so, in the middle of any run's
code, and nowhere else.

**Crowds.** In three seeds of ten many short runs of one workflow come at once, which has a limit, a throttle, a
debounce, a batch, delays or a schedule. Operators pause, wake, cancel and delete runs of it, and change its limit. Now
and then they go round and put right what such an incident left: so all of a crowd ends, or is stuck.

**Attempts in flight.** Steps hang for longer than they may take, cancel their own task, or wait while nobody runs
steps. Each attempt begins without waiting for others, and not when nobody wants it any more.

The clocks of processes are wrong by up to 45 seconds in some seeds; the invariants know the true one.
"""
