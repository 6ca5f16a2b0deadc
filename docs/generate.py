"""Write the reference pages that come from code: `python docs/generate.py`. A test compares them with the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import typer

from councilor.domain.metric import CATALOGUE, SERIES_BUDGET, Label, Metric, MetricKind, prometheus_name, statsd_name
from councilor.domain.promql import duration, series
from councilor.domain.slo import BURNS, INDICATORS, SLOS, Slo
from councilor.settings import default_file, explain, load_settings, setting_fields, variable_name
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.main import app

__all__ = ["PAGES", "cli_page", "configuration_page", "metrics_page", "objectives_page"]

REFERENCE = Path(__file__).resolve().parent / "reference"

_METRICS_HEAD = """# Metrics

Every measurement that councilor makes; `src/councilor/domain/metric.py` declares them and this page is generated from
it (`python docs/generate.py`). Durations are in seconds; for StatsD they are in milliseconds, counters of seconds too.
How they reach Prometheus or StatsD: [monitoring](../howto/monitoring.md).

A label value that is not declared becomes `other`. An open label takes at most the number of different values given
here; what is longer than 100 characters or not printable is `other`, too. Of the combinations of labels a metric takes
the first ones, as many as its series allow; further ones go to its overflow series, all of whose labels are `other`,
and are counted in `v3_metrics_overflow_total`. A call that no backend can take is dropped and counted in
`v3_metrics_failures_total`; nothing of this reaches the code that measures.

All together take at most {used} of {budget} series in one process; with overflow series, the process's own six and
those that Prometheus adds, a scrape stays under {budget} whatever happens.
"""

_CONFIGURATION_HEAD = """# Configuration

Four layers, the later one wins key by key:

1. `config/default.yaml`, inside the package
2. a YAML file of your own: `--config FILE`, with only the keys that you change
3. the environment: `V3_` and the key, dots as two underscores: `V3_STORAGE__DATABASE__URL=postgresql://...`;
   a list is JSON, `null` is null, an empty variable counts as not set
4. flags of the command

An unknown key, an unknown `V3_*` variable and a wrong type end the command with exit code 2 and name the nearest valid
key. `councilor config show` prints each value in force and the layer it came from, secrets masked. Feature flags whose
adapter this release does not have cannot be switched on. This page is generated (`python docs/generate.py`).

| key | default | meaning |
|---|---|---|
"""

_CLI_HEAD = """# Commands

Every command with its `--help`. This page is generated (`python docs/generate.py`).

Results go to standard output, everything else (progress, hints, errors) to standard error. With `--json` standard
output holds exactly one JSON document, also for an error: `{"error": {"message", "hint", "exit_code"}}`. `--config` and
`--set` stand before the command's name. A `TASK` that exists already is `last`, an id, or four or more digits of its
beginning or end. `councilor --install-completion` sets up completion for the shell in use.

## Exit codes

| code | name | meaning |
|---|---|---|
"""

_SLO_HEAD = """# Objectives

What councilor promises of itself; `src/councilor/domain/slo.py` declares it, and this page is generated from it
(`python docs/generate.py`). `councilor slo` says how it is kept, [watch councilor](../howto/monitoring.md) how to be
told. An alert needs the least number of events in its long window.

| name | promise | objective | window | least events |
|---|---|---|---|---|
"""

_SLO_BURNS = """
The alerts: the budget burns more than so many times as fast as allowed, in both windows.

| alert | burn rate | long window | short window |
|---|---|---|---|"""

_SLO_SHARES = """
Indicators, which promise nothing:
"""

_SLO_COUNTED = """
What is counted, as Prometheus names it:
"""

_HELP_WIDTH = 120
_MEANINGS = {
    ExitCode.ACCEPTED: "accepted, or done",
    ExitCode.REJECTED: "rejected; a gate failed; a record is not sound",
    ExitCode.BAD_INPUT: "the input is not acceptable, or names nothing that is known; nothing was changed",
    ExitCode.UNDECIDED: "the council could not decide: more evidence, or a person, is needed",
    ExitCode.UNAVAILABLE: "something that is needed does not work here (database, sandbox); try again or see the hint",
    ExitCode.FAILED: "the run ended with an error",
    ExitCode.CANCELLED: "interrupted; `councilor run --resume` goes on",
}

_CONFIGURATION_TAIL = """
`workers` is a table of profiles by name (lower case letters, digits, `_` and `-`); the file may add any number:

```yaml
workers:
  mine:
    kind: command
    command: ["my-agent", "--quiet"]
    prompt_by: stdin
    credentials: [MY_AGENT_KEY]
    model_hosts: ["api.example.org:443"]
    timeout_s: 900.0
run:
  worker: mine
```
"""


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    used = sum(metric.max_series for metric in CATALOGUE.values())
    parts = [_METRICS_HEAD.format(used=used, budget=SERIES_BUDGET)]
    return "\n".join(parts + [_metric(metric) for metric in CATALOGUE.values()])


def _metric(metric: Metric) -> str:
    lines = [f"## `{metric.id}`", "", metric.help, "", f"- {metric.kind}, {metric.unit}"]
    lines.append(f"- Prometheus `{prometheus_name(metric)}`, StatsD `{statsd_name(metric)}`")
    if metric.alias:
        lines.append(f"- the roadmap calls it `{metric.alias}`")
    lines += [f"- label `{label.name}`: {_values(label)}" for label in metric.labels]
    if metric.kind is MetricKind.HISTOGRAM:
        lines.append(f"- buckets: {', '.join(f'{edge:g}' for edge in metric.buckets)}")
    return "\n".join([*lines, f"- at most {metric.max_series} series", ""])


def _values(label: Label) -> str:
    return ", ".join(f"`{value}`" for value in label.values) or f"open, at most {label.cap}"


def configuration_page() -> str:
    """docs/reference/configuration.md."""
    defaults = {item.key: item.value for item in explain(load_settings())}
    rows = []
    for key, field in setting_fields().items():
        # What the data folder is by default depends on the machine.
        default = None if key == "data_dir" else defaults.get(key, _profile_default(key))
        rows.append(f"| `{key}` | `{default if default == '-' else json.dumps(default)}` | {field.description} |")
    example = f"Every key has its variable: `storage.database.url` is `{variable_name('storage.database.url')}`.\n"
    return _CONFIGURATION_HEAD + "\n".join(rows) + "\n\n" + example + _CONFIGURATION_TAIL


def _profile_default(key: str) -> object:
    field = setting_fields()[key]
    if field.is_required():
        return "-"
    return list(field.default) if isinstance(field.default, tuple) else field.default


def cli_page() -> str:
    """docs/reference/cli.md."""
    codes = [f"| {int(code)} | {code.name.lower()} | {_MEANINGS[code]} |" for code in ExitCode]
    command = typer.main.get_command(app)
    context = command.context_class(command, info_name="councilor", terminal_width=_HELP_WIDTH)
    return _CLI_HEAD + "\n".join([*codes, *_helps(command, context)])


def _helps(command: typer.core.TyperCommand | typer.core.TyperGroup, context: typer.Context) -> Iterator[str]:
    command.rich_markup_mode = None  # its plain text depends on no terminal
    yield f"\n## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```"
    for name, inner in getattr(command, "commands", {}).items():
        below = inner.context_class(inner, info_name=name, parent=context, terminal_width=_HELP_WIDTH)
        yield from _helps(inner, below)
    if context.parent is None:
        yield ""


def objectives_page() -> str:
    """docs/reference/slo.md."""
    rows = [
        f"| `{slo.name}` | {slo.title} | {slo.objective * 100:g} % | {slo.window_days} d | {slo.least} |"
        for slo in SLOS.values()
    ]
    counted = [f"- `{slo.name}`: {_counted(slo)}" for slo in SLOS.values()]
    burns = [
        f"| {burn.severity} | {burn.factor:g} | {duration(burn.long_s)} | {duration(burn.short_s)} |" for burn in BURNS
    ]
    shares = [f"- `{indicator.name}`: {indicator.title}" for indicator in INDICATORS]
    return _SLO_HEAD + "\n".join([*rows, _SLO_COUNTED, *counted, _SLO_BURNS, *burns, _SLO_SHARES, *shares, ""])


def _counted(slo: Slo) -> str:
    part = f"bad: `{series(slo.bad)}`" if slo.bad else f"good: `{series(slo.good)}`" if slo.good else ""
    return f"of `{series(slo.total)}` {part}"


PAGES = {
    "slo.md": objectives_page,
    "metrics.md": metrics_page,
    "configuration.md": configuration_page,
    "cli.md": cli_page,
}


def main() -> None:
    """Write every page."""
    assert default_file().is_file(), "run this in a checkout"
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
