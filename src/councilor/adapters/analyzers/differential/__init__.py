"""The differential tester: inputs on which a candidate and other versions of its code differ, found in the sandbox."""

from __future__ import annotations

from councilor.adapters.analyzers.differential.tester import SandboxedTester

__all__ = ["SandboxedTester"]
