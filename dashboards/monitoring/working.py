"""The dashboard of work: tasks, the executor and its queue, workers, sandboxes and repositories."""

from __future__ import annotations

from monitoring.panel import Board, Form, Panel, Query, Row, mean, quantile, rate, value

__all__ = ["WORKING"]

_TASKS = Row(
    title="Tasks",
    panels=(
        Panel(
            title="Tasks in and out",
            says="More in than out for long: the queue grows.",
            unit="cps",
            queries=(
                Query(expr=rate("v3.task.submitted", "risk_tier"), legend="submitted tier {{risk_tier}}"),
                Query(expr=rate("v3.task.finished", "state"), legend="{{state}}"),
            ),
        ),
        Panel(
            title="Time to the end of a task",
            says="From the start of its execution (p50, p95), by risk tier.",
            unit="s",
            queries=tuple(
                Query(
                    expr=quantile("v3.task.seconds", share, "risk_tier"),
                    legend=f"p{share * 100:g} tier {{{{risk_tier}}}}",
                )
                for share in (0.5, 0.95)
            ),
        ),
        Panel(
            title="Time in phases",
            says="Where the time goes (mean).",
            unit="s",
            queries=(Query(expr=mean("v3.phase.seconds", "phase"), legend="{{phase}}"),),
        ),
        Panel(
            title="Events",
            says="What is told of tasks; silence while runs are executed means that something hangs.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.event.appended", "type"), legend="{{type}}"),),
        ),
        Panel(
            title="Notifications",
            says="Each end is announced at most once: a failed one is not sent again.",
            unit="cps",
            queries=(
                Query(expr=rate("v3.notification.results", "channel", "outcome"), legend="{{channel}} {{outcome}}"),
            ),
        ),
    ),
)

_ENGINE = Row(
    title="Executor and queue",
    panels=(
        Panel(
            title="Runs",
            says="Every process sees the same queue. Waiting while nobody executes means that executors are stuck.",
            queries=(
                Query(expr=value("v3.engine.queued"), legend="waiting {{instance}}"),
                Query(expr=value("v3.engine.running"), legend="running {{instance}}"),
            ),
        ),
        Panel(
            title="Steps",
            says="How long durable steps take (p95).",
            unit="s",
            queries=(Query(expr=quantile("v3.engine.step", 0.95, "step"), legend="{{step}}"),),
        ),
        Panel(
            title="Due times of schedules",
            says="`failed` could not be submitted: `councilor schedule list` says why. `missed`: no process ran.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.schedule.due", "outcome"), legend="{{outcome}}"),),
        ),
        Panel(
            title="Steps that did not finish",
            says="A failed step fails its run once repeating it is of no use.",
            unit="cps",
            queries=(
                Query(
                    expr=rate("v3.engine.step", "step", "outcome", where='outcome!="finished"', part="_count"),
                    legend="{{step}} {{outcome}}",
                ),
            ),
        ),
    ),
)

_WORKERS = Row(
    title="Workers, sandboxes, repositories",
    panels=(
        Panel(
            title="Worker iterations",
            says="How long one round takes (p95), by worker and by how it ended.",
            unit="s",
            queries=(
                Query(expr=quantile("v3.worker.iteration", 0.95, "worker", "outcome"), legend="{{worker}} {{outcome}}"),
            ),
        ),
        Panel(
            title="Sandboxed jobs",
            says="`failed` is the sandbox itself; a program's own failure counts as exited.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.sandbox.jobs", "sandbox", "outcome"), legend="{{sandbox}} {{outcome}}"),),
        ),
        Panel(
            title="Time of sandboxed jobs",
            says="p95, by sandbox.",
            unit="s",
            queries=(Query(expr=quantile("v3.sandbox.seconds", 0.95, "sandbox"), legend="{{sandbox}}"),),
        ),
        Panel(
            title="Environments",
            says="Until dependencies are ready (p95); a hit takes no build.",
            unit="s",
            queries=(
                Query(expr=quantile("v3.environment.prepare", 0.95, "source", "hit"), legend="{{source}} hit={{hit}}"),
            ),
        ),
        Panel(
            title="Git operations",
            says="p95, by operation.",
            unit="s",
            queries=(Query(expr=quantile("v3.repository.seconds", 0.95, "operation"), legend="{{operation}}"),),
        ),
    ),
)

WORKING = Board(name="work", title="councilor: work", rows=(_TASKS, _ENGINE, _WORKERS))
