"""The command `councilor`, which is `python -m councilor`, too."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line. Ctrl-C is no defect while it is loaded, either, which takes seconds on a busy machine."""
    try:
        from councilor.surfaces.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
