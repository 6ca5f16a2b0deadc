"""Dashboards, recording rules and alerts as data; `python dashboards/generate.py` writes them as files.

Rules:
- Every catalogue metric is on a panel; every alert has a section in docs/howto/monitoring.md and a case in which it
  fires and one in which it does not.
- Names of series come from `councilor.domain`; none is typed by hand.
"""
