"""Test runners and linters."""
