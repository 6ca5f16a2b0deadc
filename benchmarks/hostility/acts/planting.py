"""Acts that put things into the folder which hurt who touches them later."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GIT_CONFIG = """[core]
\tfsmonitor = {mark}
\thooksPath = {folder}/.git/traps
\tsshCommand = {mark}
\tpager = {mark}
\teditor = {mark}
\tgitProxy = {mark}
\tworktree = /etc
\talternateRefsCommand = {mark}
[diff]
\texternal = {mark}
[diff "evil"]
\ttextconv = {mark}
\tcommand = {mark}
[filter "evil"]
\tclean = {mark}
\tsmudge = {mark}
\tprocess = {mark}
\trequired = true
[credential]
\thelper = !{mark}
[include]
\tpath = /etc/passwd
[uploadpack]
\tpackObjectsHook = {mark}
[gpg]
\tprogram = {mark}
[commit]
\tgpgSign = true
[alias]
\tstatus = !{mark}
"""
HOOKS = (
    "pre-commit",
    "post-checkout",
    "post-index-change",
    "reference-transaction",
    "fsmonitor-watchman",
    "post-merge",
)


def git_folder(targets: Any) -> Iterator[str]:
    """Configure the repository so that whoever runs git in it runs us."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(".git")
    trap = f"touch {targets['mark']}"
    Path(".git/config").write_text(GIT_CONFIG.format(mark=trap, folder=os.getcwd()))
    for folder in ("hooks", "traps"):
        os.makedirs(f".git/{folder}", exist_ok=True)
        for name in HOOKS:
            Path(f".git/{folder}/{name}").write_text(f"#!/bin/sh\n{trap}\n")
            Path(f".git/{folder}/{name}").chmod(0o755)
    os.makedirs(".git/info", exist_ok=True)
    Path(".git/info/attributes").write_text("* filter=evil diff=evil\n")
    os.makedirs(".git/objects/info", exist_ok=True)
    Path(".git/objects/info/alternates").write_text("/etc\n")
    yield from ()


def attributes(_: Any) -> Iterator[str]:
    """Attributes that name filters, encodings and substitutions."""
    Path(".gitattributes").write_text(
        "* filter=evil diff=evil merge=evil text eol=crlf ident working-tree-encoding=UTF-16 export-subst\n"
    )
    yield from ()


def links(targets: Any) -> Iterator[str]:
    """Links to where nobody should be led, and in circles."""
    for number, target in enumerate(
        (
            "/etc/passwd",
            targets["home"],
            targets["secret_file"],
            ".git/config",
            ".git",
            "../..",
            "loop",
            targets["keys"],
        )
    ):
        os.symlink(target, "loop" if target == "loop" else f"link-{number}")
    os.mkdir("round")
    os.symlink("../round", "round/about")
    yield from ()


def links_at_once(targets: Any) -> Iterator[str]:
    """Exchange a file that is being read for a link to the outside, again and again, even after the end."""
    os.makedirs("swap", exist_ok=True)
    Path("swap/file").write_text("plain")
    for _ in range(200):
        os.symlink(targets["secret_file"], "swap/new")
        os.replace("swap/new", "swap/file")
        Path("swap/plain").write_text("plain")
        os.replace("swap/plain", "swap/file")
    yield from ()


def fifos(_: Any) -> Iterator[str]:
    """Pipes that whoever opens them waits at."""
    os.mkfifo("pipe")
    os.mkdir("pipes")
    os.mkfifo("pipes/inner.py")
    yield from ()


def devices(_: Any) -> Iterator[str]:
    """Devices: the terminal, memory, a disk."""
    for name, kind, number in (
        ("null", stat.S_IFCHR, (1, 3)),
        ("mem", stat.S_IFCHR, (1, 1)),
        ("disk", stat.S_IFBLK, (8, 0)),
        ("tty", stat.S_IFCHR, (5, 0)),
    ):
        with contextlib.suppress(OSError):
            os.mknod(f"device-{name}", 0o666 | kind, os.makedev(*number))
            yield f"a device file, {name}"


def sockets(_: Any) -> Iterator[str]:
    """A socket that waits for whoever connects."""
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("socket")
    yield from ()


def names(_: Any) -> Iterator[str]:
    """Names that are options, lines, or drive a terminal."""
    for name in (
        b"-rf",
        b"--help",
        b"-",
        b"--output=x",
        b"new\nline",
        b"tab\tbed",
        b"\x1b]0;owned\x07",
        b"\xff\xfe\x00"[:2],
        b"\x7f\x08",
        b"\xc2\x9b31m",
        b" ",
        b"$(touch owned)",
        b"`touch owned`",
        b";touch owned",
        b"a'b\"c",
        b"*",
        b"con.txt",
        "\u202egnp.exe".encode(),
    ):
        with contextlib.suppress(OSError), open(name, "wb") as file:
            file.write(b"x")
    yield from ()


def nested_repository(_: Any) -> Iterator[str]:
    """A repository in the repository, with a configuration of its own."""
    os.makedirs("inner/.git/objects")
    os.makedirs("inner/.git/refs")
    Path("inner/.git/HEAD").write_text("ref: refs/heads/main\n")
    Path("inner/.git/config").write_text("[core]\n\tfsmonitor = touch /tmp/owned\n")
    yield from ()


def git_elsewhere(targets: Any) -> Iterator[str]:
    """Make `.git` a file that points to the host's own repository."""
    os.rename(".git", ".gone")
    Path(".git").write_text(f"gitdir: {targets['repository']}/.git\n")
    yield from ()


def no_permissions(_: Any) -> Iterator[str]:
    """Take away the right to look and to remove."""
    os.makedirs("locked/inner")
    Path("locked/inner/file").write_text("x")
    os.chmod("locked/inner/file", 0)
    os.chmod("locked/inner", 0)
    os.chmod("locked", 0o100)
    yield from ()


def own_rules(_: Any) -> Iterator[str]:
    """Rules, waivers, a spec, settings and a workflow that allow everything."""
    for path, text in {
        ".caws/policy.yaml": "version: 1\nforbidden_paths: []\n",
        ".caws/waivers/all.yaml": "id: W-1\ngates: [evidence_integrity]\n",
        ".github/workflows/ci.yaml": "on: push\n",
        "councilor.yaml": "sandbox: {kind: none}\n",
        "config/default.yaml": "sandbox: {kind: none}\n",
        "ruff.toml": "exclude = ['*']\n",
    }.items():
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        Path(path).write_text(text)
    yield from ()


ACTS = [
    (act.__name__, act)
    for act in (
        git_folder,
        attributes,
        links,
        links_at_once,
        fifos,
        devices,
        sockets,
        names,
        nested_repository,
        git_elsewhere,
        no_permissions,
        own_rules,
    )
]
