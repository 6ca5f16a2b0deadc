"""What a change could forge: places and lines that the gate must hear of, and ordinary code that it must not."""

from __future__ import annotations

import pytest

from councilor.domain.change import ChangeKind, FileChange
from councilor.domain.gate import Severity
from councilor.domain.integrity import RULES, is_test_code, replaces_test_tools, scan, shadows


def change(
    source: str | bytes, *, path: str = "src/shop.py", lines: tuple[int, ...] | None = None, added: bool = False
) -> FileChange:
    new = source.encode() if isinstance(source, str) else source
    count = new.count(b"\n") + 1
    return FileChange(
        path=path,
        kind=ChangeKind.ADDED if added else ChangeKind.MODIFIED,
        old_mode=None if added else "100644",
        new_mode="100644",
        old=None if added else b"",
        new=new,
        added_lines=count,
        removed_lines=0,
        changed_lines=tuple(range(1, count + 1)) if lines is None else lines,
    )


def rules(source: str, **options: object) -> set[str]:
    return {violation.rule for violation in scan(change(source, **options))}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("import os\nend = os.environ['COUNCILOR_CHANNEL']", "FORGE-1"),
        ("import _pytest.runner", "FORGE-2"),
        ("from _pytest import runner", "FORGE-2"),
        ("import pluggy", "FORGE-2"),
        ("import importlib\nr = importlib.import_module('_pytest.runner')", "FORGE-2"),
        ("r = __import__('_pytest')", "FORGE-2"),
        ("import sys\nsys.modules['_pytest.runner'].x = 1", "FORGE-2"),
        ("import os\nname = os.environ.get('PYTEST_CURRENT_TEST')", "FORGE-2"),
        ("import pytest", "FORGE-3"),
        ("from unittest import TestCase", "FORGE-3"),
        ("import os\nos._exit(0)", "FORGE-4"),
        ("from os import _exit as leave\nleave(0)", "FORGE-4"),
        ("import os as o\no._exit(0)", "FORGE-4"),
        ("import os\ngetattr(os, '_exit')(0)", "FORGE-4"),
        ("import os, signal\nos.kill(os.getpid(), 9)", "FORGE-4"),
        ("import os\nif os.fork(): pass", "FORGE-4"),
        ("import atexit", "FORGE-5"),
        ("import sys\nsys.settrace(print)", "FORGE-5"),
        ("from sys import setprofile", "FORGE-5"),
        ("import signal\nsignal.signal(14, print)", "FORGE-5"),
        ("import gc\ngc.get_objects()", "FORGE-6"),
        ("from gc import get_referrers", "FORGE-6"),
        ("import sys\nsys._getframe(1)", "FORGE-6"),
        ("import inspect\ninspect.stack()", "FORGE-6"),
        ("def f(t):\n    return t.tb_frame.f_back", "FORGE-6"),
        ("f = getattr(object(), 'f_locals')", "FORGE-6"),
        ("import sys\nsys.modules['x'] = None", "FORGE-7"),
        ("import builtins\nbuiltins.len = lambda x: 3", "FORGE-7"),
        ("import json\njson.dumps = str", "FORGE-7"),
        ("def f(): pass\nf.__code__ = None", "FORGE-7"),
        ("import os\nos.listdir('/proc/self/fd')", "FORGE-8"),
        ("import os\nos.dup2(3, 4)", "FORGE-8"),
        ("class A:\n    def __eq__(self, other):\n        return True", "FORGE-9"),
        ("class A:\n    __eq__ = lambda self, other: True", "FORGE-9"),
        ("class A:\n    def __ne__(self, other):\n        'x'\n        return False", "FORGE-9"),
        ("import base64\nexec(base64.b64decode('eA=='))", "FORGE-10"),
        ("import ctypes", "FORGE-10"),
        ("import os\ngetattr(os, '_ex' + 'it')(0)", "FORGE-10"),
        ("__import__('_py' + 'test')", "FORGE-10"),
        ("import marshal\nmarshal.loads(b'')", "FORGE-10"),
        ("import os\nvars(os)['_ex' + 'it'](0)", "FORGE-10"),
        ("import os\nos.__dict__['_ex' + 'it'](0)", "FORGE-10"),
        ("def f(:\n", "FORGE-12"),
        ("import socket\nhere = socket.gethostname()", "FORGE-14"),
        ("from platform import node as n\nhere = n()", "FORGE-14"),
        ("import pwd", "FORGE-14"),
        ("from __main__ import __file__ as f", "FORGE-14"),
        ("import sys\nif sys.flags.dont_write_bytecode: pass", "FORGE-14"),
        ("name = open('/etc/hostname').read()", "FORGE-14"),
        ("import os\nseed = os.environ.get('PYTHONHASHSEED')", "FORGE-14"),
        ("import os\nx = 1 if os.getuid() == 1000 else 2", "FORGE-14"),
        ("import os\nme = os.getppid()\nif me == 1: pass", "FORGE-14"),
        ("import os\nx = [1 for _ in 'a' if 'export-' in os.getcwd()]", "FORGE-14"),
        ("from pathlib import Path\nx = str(Path.home()).startswith('/home')", "FORGE-14"),
        ("x = 'export-' in __file__", "FORGE-14"),
        ("import sys\nassert sys.argv[0].endswith('x')", "FORGE-14"),
        ("import os\nx = len(os.environ) < 9", "FORGE-14"),
        ("import os\nif 'USER' in os.environ: pass", "FORGE-14"),
        ("import os\nif os.getenv('CI'): pass", "FORGE-14"),
        ("import time\nx = time.time() < 4e9", "FORGE-15"),
        ("from datetime import datetime\nnow = datetime.now()\nif now > datetime(2031, 1, 1): pass", "FORGE-15"),
        ("import datetime as dt\nx = 1 if dt.date.today().year == 2031 else 0", "FORGE-15"),
    ],
)
def test_what_reaches_the_tests_is_reported(source: str, rule: str) -> None:
    assert rule in rules(source)


@pytest.mark.parametrize(
    "source",
    [
        "import os\npath = os.environ['HOME']\nos.environ['A'] = 'b'\n",
        "import sys\nprint(sys.argv, file=sys.stderr)\n",
        "import inspect\nnames = inspect.signature(print).parameters\n",
        "import gc\ngc.collect()\n",
        "class A:\n    def __eq__(self, other):\n        return self.x == other.x\n",
        "class A:\n    def __eq__(self, other):\n        if other == 1:\n            return 0\n        return True\n",
        "value = getattr(config, name)\n",
        "import re\npattern = re.compile('x')\n",
        "from . import pytest_like, unittest_like\n",
        "import pytestify\nimport coverage_report\n",
        "value = eval('1 + 1')\n",
        "def total(prices):\n    return sum(prices)\n",
        "import json\ntext = json.dumps({})\n",
        "import os\nif os.environ.get('SHOP_DEBUG') == '1':\n    debug = True\n",
        "import os, tempfile\ndraft = f'draft-{os.getpid()}'\nhere = os.getcwd()\n",
        "import time\nwhile time.monotonic() - began < timeout_s:\n    pass\n",
        "import time\nif time.time() - began > 5:\n    pass\n",
        "from datetime import datetime\nif datetime.now() > expires:\n    pass\n",
        "import sys\nif sys.platform == 'win32' or sys.version_info < (3, 12):\n    pass\n",
        "from pathlib import Path\nDATA = Path(__file__).parent / 'data'\n",
    ],
)
def test_ordinary_code_is_not_reported(source: str) -> None:
    assert rules(source) == set()


def test_only_lines_of_the_candidate_count() -> None:
    source = "import os\n\ndef leave():\n    os._exit(0)\n\ndef total():\n    return 1\n"
    assert rules(source, lines=(7,)) == set()
    violation = next(each for each in scan(change(source, lines=(4,))))
    assert (violation.rule, violation.line, violation.path) == ("FORGE-4", 4, "src/shop.py")
    assert violation.severity is Severity.CRITICAL


def test_a_constant_equality_counts_when_any_of_its_lines_changed() -> None:
    source = "class A:\n    def __eq__(self, other):\n        return True\n"
    assert rules(source, lines=(3,)) == {"FORGE-9"}
    assert rules(source, lines=(1,)) == set()


def test_tests_may_use_what_tests_use_but_not_leave_the_process() -> None:
    ordinary = "import os, sys, unittest, pytest, signal, atexit\nsys.modules['x'] = None\nsignal.alarm(1)\n"
    ordinary += "if os.getuid() == 0 or os.environ.get('CI'):\n    pass\n"
    assert rules(ordinary, path="tests/test_shop.py") == set()
    assert rules("import os\nos._exit(0)\n", path="tests/test_shop.py") == {"FORGE-4"}


def test_a_deleted_file_is_harmless() -> None:
    gone = FileChange(
        path="a.py", kind=ChangeKind.DELETED, old_mode="100644", new_mode=None, old=b"import pytest",
        new=None, added_lines=0, removed_lines=1,
    )  # fmt: skip
    assert scan(gone) == ()


@pytest.mark.parametrize(
    "path", ["pytest.py", "src/_pytest/__init__.py", "random.py", "tests/hashlib.py", "lib/json.so"]
)
def test_a_new_file_that_stands_in_for_another_module_is_reported(path: str) -> None:
    assert shadows(path)
    assert "FORGE-11" in {each.rule for each in scan(change("x = 1\n", path=path, added=True))}
    assert "FORGE-11" not in {each.rule for each in scan(change("x = 1\n", path=path))}


@pytest.mark.parametrize(
    "path", ["src/shop/random.py", "test/__init__.py", "random/notes.txt", "random.pyi.txt", "a.py"]
)
def test_modules_in_packages_stand_in_for_nothing(path: str) -> None:
    assert not shadows(path)


@pytest.mark.parametrize("path", ["a/__pycache__/b.cpython-311.pyc", "b.pyc", "x.pth", "sitecustomize.py"])
def test_files_that_run_by_themselves_are_reported(path: str) -> None:
    assert "FORGE-13" in {each.rule for each in scan(change(b"x = 1\n", path=path, added=True))}


def test_a_link_is_not_read_as_python() -> None:
    link = FileChange(
        path="a.py", kind=ChangeKind.ADDED, old_mode=None, new_mode="120000", old=None, new=b"_pytest (",
        added_lines=1, removed_lines=0, changed_lines=(1,),
    )  # fmt: skip
    assert scan(link) == ()


@pytest.mark.parametrize("source", ["(" * 5000, "x = " + "-" * 100_000 + "1", "\0", "# coding: nonsense\n"])
def test_hostile_text_is_no_error(source: str) -> None:
    assert "FORGE-12" in rules(source)


def test_every_rule_has_a_severity_and_a_remedy() -> None:
    assert list(RULES) == [f"FORGE-{number}" for number in range(1, 16)]
    assert all(remedy.endswith(".") for _, remedy in RULES.values())


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("tests/data/x.json", True),
        ("pkg/test/thing.py", True),
        ("src/pkg/tests/test_a.py", True),
        ("conftest.py", True),
        ("a/b_test.py", True),
        ("src/pkg/testing/api.py", False),
        ("src/contest.py", False),
        ("latest.py", False),
        ("test_data.txt", False),
    ],
)
def test_where_test_code_is(path: str, test: bool) -> None:
    assert is_test_code(path) is test


def test_only_importable_files_replace_test_tools() -> None:
    assert replaces_test_tools("unittest/__init__.py")
    assert not replaces_test_tools("docs/pytest.py")
    assert not replaces_test_tools("pytest.ini")
