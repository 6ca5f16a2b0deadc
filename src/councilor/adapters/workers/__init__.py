"""Whoever does the work."""
