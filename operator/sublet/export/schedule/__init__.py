"""The operator's own exports: every day the open billing periods, and each period once more when it is closed.

Only the leader exports. `due` says when; `schedule` decides, tries again and tells; `worker` is a process of its own that does the work, so that
neither the operator's loop nor its memory notices. What an export is made of is one line of the ledger and one instant, which a try that
failed hands on to the next one: the same bytes, whoever tries.
"""

from collections.abc import Callable

from sublet.clock import Clock
from sublet.export.schedule.job import Task
from sublet.export.schedule.process import WorkerProcess
from sublet.export.schedule.schedule import Schedule, Told
from sublet.settings import Settings
from sublet.store.sql import SqlLedger


def schedule_of(
    settings: Settings, ledger: SqlLedger, clock: Clock, *, leads: Callable[[], bool], told: Told
) -> Schedule:
    """Return the schedule that the settings ask for; without a target it does nothing. ValueError on a target that is none."""
    if not settings.export_target:
        return Schedule(ledger, clock, None, leads=leads, told=told)
    from sublet.export.sink.target import sink_of  # noqa: PLC0415  only who exports needs a bucket's client

    task = Task.of(settings)
    sink_of(task.target, endpoint=task.endpoint, region=task.region)
    return Schedule(
        ledger,
        clock,
        WorkerProcess(task),
        leads=leads,
        told=told,
        hour=settings.export_hour,
        place=task.place,
    )
