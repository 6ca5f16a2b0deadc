"""Names of language models: which family a model is of, so that no model judges its own family's work.

Rules:
- A name may carry a provider before a slash or a dot and a version behind its family: `openai/gpt-4.1-mini`,
  `us.anthropic.claude-sonnet-4`, `deepseek-r1-distill-qwen-32b`. A distilled model is of both families.
- Makers' other names count as their family: `o3` and `codex` are `gpt`, `codestral` is `mistral`.
- A name of which no part is known is a family of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["families", "related"]

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "gpt": "gpt|chatgpt|o[1-9]|codex|davinci|openai",
        "claude": "claude|anthropic|opus|sonnet|haiku",
        "gemini": "gemini|gemma|palm|google",
        "mistral": "mistral|ministral|mixtral|codestral|devstral|magistral|pixtral|mistralai",
        "llama": "llama|codellama|meta",
        "qwen": "qwen|qwq|codeqwen|tongyi",
        "deepseek": "deepseek",
        "grok": "grok|xai",
        "phi": "phi",
        "command": "command|cohere|aya",
        "granite": "granite|ibm",
        "nova": "nova|amazon",
        "kimi": "kimi|moonshot|moonshotai",
        "glm": "glm|chatglm|zhipu|zai",
        "starcoder": "starcoder|bigcode",
        "yi": "yi",
    }
)
"""Family -> the words that name it."""
_WORD = re.compile(r"[a-z]+|o[1-9](?![a-z0-9])")


def families(model: str) -> frozenset[str]:
    """The families of a model; empty for an empty name."""
    name = model.strip().lower()
    words = {word for part in re.split(r"[^a-z0-9]+", name) for word in _words(part)}
    found = {family for family, names in FAMILIES.items() if any(re.fullmatch(names, word) for word in words)}
    return frozenset(found or ({name} if name else ()))


def related(one: str, other: str) -> bool:
    """Whether two models are the same or of one family."""
    return bool(families(one) & families(other))


def _words(part: str) -> set[str]:
    """A part as it is, and without the version that is written on to it: `qwen2` is `qwen`."""
    return {part, *_WORD.findall(part)[:1]}
