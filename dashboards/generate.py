"""Write what is generated below dashboards/: `python dashboards/generate.py`. A test compares the files with the code."""

from __future__ import annotations

from pathlib import Path

from monitoring.rulefiles import RULE_FILES

__all__ = ["generated"]

HERE = Path(__file__).resolve().parent


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    return {HERE / "prometheus" / name: text() for name, text in RULE_FILES.items()}


def main() -> None:
    """Write every file."""
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
