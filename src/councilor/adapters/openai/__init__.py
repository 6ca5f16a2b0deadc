"""Language models behind any endpoint that speaks OpenAI's chat completions over HTTP."""

from __future__ import annotations

from councilor.adapters.openai.chat import OpenAIChat
from councilor.adapters.openai.conversation import OpenAIConversation

__all__ = ["OpenAIChat", "OpenAIConversation"]
