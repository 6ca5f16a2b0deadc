"""`python -m councilor` is the command `councilor`."""

from __future__ import annotations

from councilor.surfaces.cli.main import main

if __name__ == "__main__":
    main()
