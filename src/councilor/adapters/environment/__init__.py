"""Builds the dependencies of a repository."""
