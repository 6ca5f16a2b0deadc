"""Write the generated files of this folder: `python dashboards/generate.py`. A test compares them with the code."""

from __future__ import annotations

from pathlib import Path

from monitoring.grafana import BOARDS, dashboard_json
from monitoring.rulefiles import RULE_FILES

__all__ = ["generated"]

HERE = Path(__file__).resolve().parent


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    rules = {HERE / "prometheus" / name: text() for name, text in RULE_FILES.items()}
    boards = {HERE / "grafana" / "dashboards" / f"{board.name}.json": dashboard_json(board) for board in BOARDS}
    return rules | boards


def main() -> None:
    """Write every file."""
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
