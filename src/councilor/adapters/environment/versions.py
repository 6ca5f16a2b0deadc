"""A version for projects that take theirs from git: an export has no history to take it from.

Rules:
- The newest release among the repository's tags, else the newest of any kind, else `0.1.dev0`.
- Each tool is told in its own variable; where the project's name is known, only for that project, because packages that
  are built on the way have versions of their own.

Source: https://setuptools-scm.readthedocs.io/en/latest/overrides/, https://backend.pdm-project.org/metadata/, PEP 440.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from packaging.version import InvalidVersion, Version

from councilor.adapters.environment.project import Project

__all__ = ["newest_version", "version_variables"]

UNKNOWN = "0.1.dev0"
_TAG = re.compile(r"(?:.*[-_/])?[vV]?(\d+(?:\.\d+)*[\w.+!]*)")


def newest_version(tags: Iterable[str]) -> str:
    """The version that these tags stand for."""
    found = [version for tag in tags if (version := _version(tag)) is not None]
    released = [version for version in found if not version.is_prerelease]
    return str(max(released or found, default=UNKNOWN))


def version_variables(projects: Sequence[Project], version: str) -> dict[str, str]:
    """Variables for a build; empty when no project takes its version from git."""
    taking = [project for project in projects if project.version_from_git]
    if not taking:
        return {}
    named = [project for project in taking if project.name and project.scm_by_name]
    variables = {
        f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{re.sub(r'[-_.]+', '_', project.name).upper()}": version
        for project in named
    }
    if len(named) < len(taking):
        variables["SETUPTOOLS_SCM_PRETEND_VERSION"] = version
    return variables | {
        "PBR_VERSION": version,
        "PDM_BUILD_SCM_VERSION": version,
        "POETRY_DYNAMIC_VERSIONING_BYPASS": version,
        "UV_DYNAMIC_VERSIONING_BYPASS": version,
    }


def _version(tag: str) -> Version | None:
    match = _TAG.fullmatch(tag)
    try:
        return Version(match[1]) if match else None
    except InvalidVersion:
        return None
