"""Who intervenes where nobody says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from councilor.surfaces.cli.steering import whoever

NAMELESS = """
import os
from councilor.errors import InputError
from councilor.surfaces.cli.steering import whoever
os.setuid(54321)
assert whoever("Ada") == "Ada"
try:
    whoever(None)
except InputError as error:
    print(error.field, error.hint())
"""


def test_it_is_who_is_named_or_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert (whoever(None), whoever("Bob")) == ("ada", "Bob")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without a name")
def test_a_user_without_a_name_is_asked_for_one() -> None:
    env = {name: value for name, value in os.environ.items() if name not in {"LOGNAME", "USER", "LNAME", "USERNAME"}}
    ended = subprocess.run([sys.executable, "-c", NAMELESS], capture_output=True, text=True, check=True, env=env)
    assert ended.stdout == "--by Give --by NAME.\n"
