"""A notification through a program of the operator's, such as a mailer.

Rules:
- The message is one JSON document on standard input; see `program.py` for how it runs.
- Its standard output is thrown away; the last line of its standard error is quoted, escaped, when it fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile

from councilor.adapters.notify.program import Program, quote_end
from councilor.domain.notification import Notification
from councilor.errors import UnavailableError

__all__ = ["CommandNotifier"]


class CommandNotifier:
    """Notifies by running a program.

    Args:
        command: the program, a name on `PATH` or an absolute path, and its arguments.
        environment: the variables it gets.
        timeout_s: seconds it may take.
    """

    def __init__(self, *, command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> None:
        self._program = Program(
            what="notification command",
            block="notify",
            backend=self.channel,
            command=tuple(command),
            environment=dict(environment),
            timeout_s=timeout_s,
        )

    @property
    def channel(self) -> str:
        """`command`."""
        return "command"

    async def send(self, notification: Notification) -> None:
        """Run the program once; it is not repeated, because nobody knows what it did before it failed."""
        with TemporaryFile() as said:
            code = await self._program.run(
                notification.document(), output=asyncio.subprocess.DEVNULL, said=said.fileno()
            )
            if code != 0:
                raise UnavailableError(
                    f"The notification command {self._program.command[0]} ended with {code}{quote_end(said)}.",
                    backend=self.channel,
                    hint="Try it with `councilor notify --test`.",
                )
