"""What a verification gives: what was checked, what is not as it was signed, and what cannot be said yet."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "Verification"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is not as it was signed."""

    artifact_id: str
    """Empty where it is about no artifact."""
    name: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was checked, and what was found."""

    task_id: str
    artifacts: int
    statements: int
    keyids: tuple[str, ...]
    findings: tuple[Finding, ...]
    logged: int = 0
    """Statements that were proved to be leaves of the log."""
    waiting: int = 0
    """Statements that are stored and not yet leaves: no checkpoint covers them yet."""
    erased: int = 0
    """Artifacts whose bytes retention removed, as a signed statement says."""
    log_size: int | None = None
    """Leaves of the newest checkpoint; None when the log was not looked at."""
    checkpoints: int = 0
    """Checkpoints from outside the database that the log was found to continue."""

    @property
    def sound(self) -> bool:
        """Whether there was something to check and all of it verified."""
        return self.artifacts > 0 and not self.findings
