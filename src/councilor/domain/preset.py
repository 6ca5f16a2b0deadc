"""Profiles of the well-known coding agents, so that nobody has to look up how each is run without a person.

Rules:
- A preset fills in the keys that a profile does not give; a key that it gives wins as a whole.
- Only what the agent's own documentation says, as read on the day given; none of these programs was run here. Options
  of agents change: `councilor workers test NAME` shows whether one still works.
- An agent's own sandbox and its questions are switched off where it has any: it runs in ours.
- Agents that take any provider have neither credentials nor hosts here: whoever configures them knows which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from councilor.domain.worker import PromptBy

__all__ = ["PRESETS", "READ_ON", "Preset"]

READ_ON = "2026-11-26"
"""When these descriptions were read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """One agent's profile."""

    kind: str
    command: tuple[str, ...]
    prompt_by: PromptBy = PromptBy.STDIN
    credentials: tuple[str, ...] = ()
    model_hosts: tuple[str, ...] = ()
    sign_in: str | None = None
    needs: str = ""
    """What the profile has to add, as a sentence."""
    documented: str
    """Where its options and its output are described."""

    def settings(self) -> dict[str, Any]:
        """The keys that it fills in."""
        return {
            "kind": self.kind,
            "command": self.command,
            "prompt_by": self.prompt_by,
            "credentials": self.credentials,
            "model_hosts": self.model_hosts,
            **({"sign_in": self.sign_in} if self.sign_in else {}),
        }


_PROVIDER = (
    "Name the provider's key in `credentials`, its host in `model_hosts`, and the agent's settings in `folders`."
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "claude": Preset(
            kind="command",
            command=(
                *("claude", "-p", "--output-format", "stream-json", "--verbose"),
                *("--permission-mode", "bypassPermissions"),
            ),
            credentials=("ANTHROPIC_API_KEY",),
            model_hosts=("api.anthropic.com:443",),
            documented="docs.anthropic.com/en/docs/claude-code: CLI reference, headless mode",
        ),
        "codex": Preset(
            kind="command",
            command=("codex", "exec", "--json", "--sandbox", "danger-full-access", "--skip-git-repo-check", "-"),
            credentials=("CODEX_API_KEY",),
            model_hosts=("api.openai.com:443",),
            documented="github.com/openai/codex: docs/exec.md",
        ),
        "gemini": Preset(
            kind="command",
            command=("gemini", "--output-format", "stream-json", "--approval-mode", "yolo"),
            credentials=("GEMINI_API_KEY",),
            model_hosts=("generativelanguage.googleapis.com:443",),
            documented="github.com/google-gemini/gemini-cli: docs/cli/headless.md, docs/cli/cli-reference.md",
        ),
        "opencode": Preset(
            kind="command",
            command=("opencode", "run", "--format", "json"),
            needs=_PROVIDER,
            documented="opencode.ai/docs/cli, command `run`",
        ),
        "goose": Preset(
            kind="command",
            command=("goose", "run", "--no-session", "--quiet", "--output-format", "stream-json", "-i", "-"),
            needs=_PROVIDER,
            documented="block.github.io/goose/docs/guides/goose-cli-commands, command `run`",
        ),
        "aider": Preset(
            kind="command",
            command=(
                *(
                    "aider",
                    "--message-file",
                    "{prompt_file}",
                    "--yes-always",
                    "--no-auto-commits",
                    "--no-dirty-commits",
                ),
                *("--no-gitignore", "--no-pretty", "--no-stream", "--map-tokens", "0"),
                *("--chat-history-file", "/dev/null", "--input-history-file", "/dev/null"),
            ),
            prompt_by=PromptBy.FILE,
            needs=_PROVIDER,
            documented="aider.chat/docs/scripting.html, aider.chat/docs/config/aider_conf.html",
        ),
        "gemini-acp": Preset(
            kind="acp",
            command=("gemini", "--acp"),
            credentials=("GEMINI_API_KEY",),
            model_hosts=("generativelanguage.googleapis.com:443",),
            sign_in="gemini-api-key",
            documented="geminicli.com/docs/cli/acp-mode",
        ),
        "goose-acp": Preset(
            kind="acp",
            command=("goose", "acp"),
            needs=_PROVIDER,
            documented="block.github.io/goose/docs/guides/acp-clients (1.8.0 and later)",
        ),
        "opencode-acp": Preset(
            kind="acp", command=("opencode", "acp"), needs=_PROVIDER, documented="opencode.ai/docs/cli, command `acp`"
        ),
    }
)
"""By the name that a profile's `preset` gives."""
