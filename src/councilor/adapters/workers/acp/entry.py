"""Runs the agent, and passes on what it and the runner say: the channel one way and the other.

Rules:
- Standard library only, run in the sandbox as `python -I -S entry.py COMMAND ...`.
- The agent gets two pipes, not the channel itself: a socket that is both standard input and output looks to some event
  loops (asyncio's) as if its reader had gone as soon as something arrives on it.
- The end of the agent's words is passed on before its exit code is ours; SIGTERM is passed on to it.
- Standard error stays what it is: what the agent prints there is output, not protocol.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from typing import NoReturn

SIZE = 65536


def main(*command: str) -> NoReturn:
    """Start the command, and be as long as it is."""
    channel = socket.socket(fileno=int(os.environ.pop("COUNCILOR_CHANNEL")))
    channel.set_inheritable(False)
    (stdin, to_agent), (from_agent, stdout) = os.pipe(), os.pipe()
    agent = os.fork()
    if agent == 0:
        become(command, stdin, stdout)
    os.close(stdin)
    os.close(stdout)
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(agent, number))
    ended, end = os.pipe()
    ending: list[int] = []
    threading.Thread(target=listen, args=(channel, to_agent), daemon=True).start()
    threading.Thread(target=wait, args=(agent, ending, end), daemon=True).start()
    speak(from_agent, ended, channel)
    os.read(ended, 1)
    leave(ending[0])


def become(command: tuple[str, ...], stdin: int, stdout: int) -> NoReturn:
    """Be the agent from now on."""
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    try:
        os.execvp(command[0], list(command))  # noqa: S606  # it is what an entry does
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def listen(channel: socket.socket, to_agent: int) -> None:
    """Pass on what the runner says, and that it says no more."""
    try:
        while data := channel.recv(SIZE):
            left = memoryview(data)
            while left:
                left = left[os.write(to_agent, left) :]
    except OSError:
        pass  # the agent does not listen any more, and that is its affair
    os.close(to_agent)


def wait(agent: int, ending: list[int], end: int) -> None:
    """Say when the agent has ended."""
    ending.append(os.waitpid(agent, 0)[1])
    os.close(end)


def speak(from_agent: int, ended: int, channel: socket.socket) -> None:
    """Pass on what the agent says until it says no more, or has ended and all is said."""
    try:
        while True:
            ready = select.select([from_agent, ended], [], [])[0]
            if from_agent not in ready:
                return
            data = os.read(from_agent, SIZE)
            if not data:
                return
            channel.sendall(data)
    except OSError:
        os.close(from_agent)  # nobody listens: it shall notice


def leave(status: int) -> NoReturn:
    """End as the agent did."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    main(*sys.argv[1:])
