"""All checks, in the order in which they run: what takes minutes begins first, and is looked at last."""

from tools.verify.checks import account, api, caretaker, queues, runs, timers

CHECKS = (
    # These begin here and end last.
    timers.long,
    timers.recurring,
    timers.at,
    queues.poison_age,
    queues.pollers,
    caretaker.rotation_schedule,
    # These take seconds each.
    api.authorisation,
    api.tokens,
    api.limits,
    api.idempotent_start,
    api.listing,
    api.plus,
    runs.order,
    runs.steps,
    runs.children,
    runs.generations,
    runs.signals,
    runs.cancellation,
    runs.hooks,
    runs.webhooks,
    runs.questions,
    runs.large_values,
    runs.codec,
    timers.short,
    timers.schedule_of_a_sleep,
    queues.dead_run,
    queues.dead_timer,
    queues.redrive,
    queues.receive_counts,
    caretaker.archive,
    caretaker.rotation,
    account.key,
    account.network,
)
