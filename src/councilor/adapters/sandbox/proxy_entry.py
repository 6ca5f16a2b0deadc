"""Opens the proxy's port inside a sandbox and becomes the job; runs as `python -I -S proxy_entry.py FD COMMAND ...`.

Rules:
- The port is opened here, in the sandbox's own network, and the listening socket is handed to councilor over the
  descriptor: councilor accepts on it from outside, so that no forwarder has to run and no socket file is mounted.
- The proxy's variables are set in both spellings: curl reads only the lower-case `http_proxy`, others the upper.
- Standard library only.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn


def main(fd: int, *command: str) -> NoReturn:
    """Hand over the port and start the command."""
    with socket.socket(socket.AF_INET) as listener, socket.socket(fileno=fd) as line:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        socket.send_fds(line, [b"p"], [listener.fileno()])
    env = dict(os.environ)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        env[name] = f"http://127.0.0.1:{port}"
    try:
        os.execvpe(command[0], list(command), env)  # noqa: S606  # it is what an entry does
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
