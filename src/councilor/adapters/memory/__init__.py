"""Adapters that keep everything in the process: for tests, and for runs that need not last."""
