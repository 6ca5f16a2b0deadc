"""Write the reference pages that come from code: `python docs/generate.py`. A test compares them with the code."""

from __future__ import annotations

import json
from pathlib import Path

from councilor.domain.metric import CATALOGUE, SERIES_BUDGET, Label, Metric, MetricKind, prometheus_name, statsd_name
from councilor.settings import default_file, explain, load_settings, setting_fields, variable_name

__all__ = ["PAGES", "configuration_page", "metrics_page"]

REFERENCE = Path(__file__).resolve().parent / "reference"

_METRICS_HEAD = """# Metrics

Every measurement that councilor makes; `src/councilor/domain/metric.py` declares them and this page is generated from
it (`python docs/generate.py`). Durations are in seconds; StatsD timers are sent in milliseconds. A label value that is
not declared becomes `other`. An open label takes at most the number of different values given here.

All together take at most {used} of {budget} series in one process, even in the worst case.
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


PAGES = {"metrics.md": metrics_page, "configuration.md": configuration_page}


def main() -> None:
    """Write every page."""
    assert default_file().is_file(), "run this in a checkout"
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
