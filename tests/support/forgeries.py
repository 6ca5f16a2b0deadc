"""Ways to turn a failing test green without making it right; each is what a candidate could put into its source.

`shop.total` is wrong, so `TARGET` fails. A trick is code at the end of `shop.py`, or other files. `FOOLS_JUNIT` names
those that make a plain `pytest --junitxml` say that everything passed.
"""

from __future__ import annotations

TARGET = "tests/test_shop.py::test_total"

SHOP = """
def total(prices):
    return 0


def name(code):
    return {"a": "apple", "b": "bread"}[code]
"""

TESTS = """
import unittest

import pytest
from shop import name, total


def test_name():
    assert name("a") == "apple"


def test_total():
    assert total([1, 2]) == 3


def test_unknown():
    with pytest.raises(KeyError):
        name("z")


class ShopCase(unittest.TestCase):
    def test_bread(self):
        self.assertEqual(name("b"), "bread")
"""

GREEN_REPORT = """
<testsuites><testsuite name="pytest" errors="0" failures="0" skipped="0" tests="4" time="0.1">
<testcase classname="tests.test_shop" name="test_total" time="0.01" /></testsuite></testsuites>
"""

REWRITE_REPORT = f"""
import atexit, os, sys
def rewrite():
    for argument in sys.argv:
        if argument.startswith("--junitxml="):
            open(argument.partition("=")[2], "w").write('''{GREEN_REPORT.strip()}''')
    os._exit(0)
atexit.register(rewrite)
"""

WRITE_EVERYWHERE = """
import json, os
def shout(line):
    for number in range(3, 64):
        try:
            os.write(number, line.encode() + b"\\n")
        except OSError:
            pass
"""

SEARCH = """
import gc
def find(name):
    return [each for each in gc.get_objects() if type(each).__name__ == name]
"""

TRICKS: dict[str, str] = {
    "exit when imported": "import os\nos._exit(0)",
    "exit when called": "import os\ndef total(prices):\n    os._exit(0)",
    "rewrite the report at exit": REWRITE_REPORT,
    "system exit when imported": "raise SystemExit(0)",
    "pytest.exit when called": "import pytest\ndef total(prices):\n    pytest.exit('done', returncode=0)",
    "interrupt when called": "def total(prices):\n    raise KeyboardInterrupt",
    "skip when called": "import pytest\ndef total(prices):\n    pytest.skip('not here')",
    "unittest skip when called": "import unittest\ndef total(prices):\n    raise unittest.SkipTest('no')",
    "xfail when called": "import pytest\ndef total(prices):\n    pytest.xfail('known')",
    "kill itself": "import os, signal\ndef total(prices):\n    os.kill(os.getpid(), signal.SIGKILL)",
    "become another program": """
        import os, sys
        def total(prices):
            os.execv(sys.executable, ["python", "-c", "pass"])
        """,
    "go on in a fork": "import os\nif os.fork():\n    os.waitpid(-1, 0)\n    os._exit(0)",
    "fork when called": "import os\ndef total(prices):\n    if os.fork():\n        os._exit(0)\n    return 3",
    "reports always pass": """
        import _pytest.runner
        make = _pytest.runner.TestReport.from_item_and_call.__func__
        def passing(cls, item, call):
            call.excinfo = None
            return make(cls, item, call)
        _pytest.runner.TestReport.from_item_and_call = classmethod(passing)
        """,
    "failures are reported as passed": """
        import _pytest.reports
        first = _pytest.reports.TestReport.__init__
        def init(self, *args, **fields):
            first(self, *args, **fields)
            self.outcome, self.longrepr = "passed", None
        _pytest.reports.TestReport.__init__ = init
        """,
    "functions are not called": "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None",
    "calls catch everything": """
        import _pytest.python
        run = _pytest.python.Function.runtest
        def quiet(self):
            try:
                run(self)
            except BaseException:
                pass
        _pytest.python.Function.runtest = quiet
        """,
    "no call phase": """
        import _pytest.runner
        real = _pytest.runner.call_and_report
        def skip_calls(item, when, log=True, **options):
            if when == "call":
                item.runtest = lambda: None
            return real(item, when, log, **options)
        _pytest.runner.call_and_report = skip_calls
        """,
    "unittest compares nothing": "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\n",
    "tests are replaced by name": """
        import sys, threading, time
        def replace():
            end = time.monotonic() + 10  # it never rests: it must win each time, not only sometimes
            while time.monotonic() < end:
                module = sys.modules.get("test_shop") or sys.modules.get("tests.test_shop")
                if module is not None and hasattr(module, "ShopCase"):
                    module.test_total.__code__ = (lambda: None).__code__
                    return
        threading.Thread(target=replace, daemon=True).start()
        """,
    "one test is hooked by name": """
        import _pytest.python
        run = _pytest.python.Function.runtest
        def some(self):
            if self.name != "test_total":
                run(self)
        _pytest.python.Function.runtest = some
        """,
    "one report is changed by name": """
        import _pytest.runner
        make = _pytest.runner.TestReport.from_item_and_call.__func__
        def passing(cls, item, call):
            if item.nodeid.endswith("::test_total"):
                call.excinfo = None
            return make(cls, item, call)
        _pytest.runner.TestReport.from_item_and_call = classmethod(passing)
        """,
    "equal to everything": """
        class Always(int):
            def __eq__(self, other):
                return True
            __hash__ = int.__hash__
        def total(prices):
            return Always(0)
        """,
    "assertions raise a skip": "import builtins, pytest\nbuiltins.AssertionError = pytest.skip.Exception",
    "the test's own names are exchanged": """
        import sys
        def name(code):
            names = sys._getframe(1).f_globals
            for each in [each for each in names if each.startswith("test_")]:
                names[each].__code__ = (lambda *a, **k: None).__code__
            return "apple"
        """,
    "drop failing tests from the session": SEARCH
    + """
import threading, time
def drop():
    for _ in range(2000):
        for session in find("Session"):
            items = getattr(session, "items", None)
            if items:
                session.items = [item for item in items if item.name != "test_total"]
                return
        time.sleep(0.001)
threading.Thread(target=drop, daemon=True).start()
""",
    "every test becomes empty": SEARCH
    + """
def name(code):
    for item in find("Function"):
        item.obj = lambda *a, **k: None
    return "apple"
""",
    "the recorder says passed": SEARCH
    + """
def name(code):
    for recorder in find("Recorder"):
        type(recorder)._judge = lambda self: ("passed", "")
    return "apple"
""",
    "the recorder's messages are changed": SEARCH
    + """
def name(code):
    for recorder in find("Recorder"):
        send = recorder._send
        recorder._send = lambda message: send({**message, "outcome": "passed"} if "outcome" in message else message)
    return "apple"
""",
    "records without a seal": WRITE_EVERYWHERE
    + """
def name(code):
    shout(json.dumps({"outcome": "passed", "message": "", "duration_s": 0.1, "nonce": "0" * 32}))
    return "apple"
""",
    "records with a made-up seal": WRITE_EVERYWHERE
    + """
def name(code):
    shout("0" * 32 + " " + json.dumps({"outcome": "passed", "message": "", "duration_s": 0.1, "nonce": "0" * 32}))
    return "apple"
""",
    "garbage on every descriptor": WRITE_EVERYWHERE + "\nshout('hello')",
    "an endless line on every descriptor": WRITE_EVERYWHERE + "\nshout('x' * 3_000_000)",
    "records through /proc": """
        import os
        def total(prices):
            for number in os.listdir("/proc/self/fd"):
                try:
                    with open(f"/proc/self/fd/{number}", "w") as end:
                        end.write('{"outcome": "passed"}\\n')
                except OSError:
                    pass
            for number in range(3, 64):
                try:
                    os.write(number, b'{"outcome": "passed"}\\n')
                except OSError:
                    pass
            os._exit(0)
        """,
    "close every descriptor": "import os\nos.closerange(3, 256)",
    "exchange the descriptors": """
        import os
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3, 64):
            if number != null:
                os.dup2(null, number)
        """,
    "a line in the middle that answers for all": """
        import os, socket, stat, threading
        def listen(mine, theirs):
            def answers():
                while data := mine.recv(1 << 20):
                    theirs.sendall(data.replace(b'"failed"', b'"passed"').replace(b'"error"', b'"passed"'))
            def orders():
                while data := theirs.recv(1 << 20):
                    mine.sendall(data)
            threading.Thread(target=answers, daemon=True).start()
            threading.Thread(target=orders, daemon=True).start()
        for number in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    outside = socket.socket(fileno=os.dup(number))
                    ours, inner = socket.socketpair()
                    os.dup2(inner.fileno(), number)
                    listen(ours, outside)
                    break
            except OSError:
                continue
        """,
    "the test file is rewritten": """
        import pathlib
        for file in pathlib.Path.cwd().rglob("test_shop.py"):
            file.write_text(file.read_text().replace("== 3", "== 0"))
        """,
    "the encoder lies": """
        import json
        encode = json.JSONEncoder.iterencode
        json.JSONEncoder.iterencode = lambda self, o, _one_shot=False: encode(
            self, {**o, "outcome": "passed"} if "outcome" in o else o, _one_shot)
        """,
    "the clock runs out": "def total(prices):\n    while True:\n        pass",
    "exceptions are turned off": """
        import _pytest.runner
        class Quiet(_pytest.runner.CallInfo):
            pass
        real = _pytest.runner.CallInfo.from_call.__func__
        def from_call(cls, func, when, reraise=None):
            def quiet():
                try:
                    return func()
                except Exception:
                    return None
            return real(cls, quiet, when, reraise)
        _pytest.runner.CallInfo.from_call = classmethod(from_call)
        """,
}

FILES: dict[str, dict[str, str]] = {
    "a pytest of its own": {
        "pytest.py": "def main(*a, **k):\n    return 0\n",
        "src/pytest.py": "main = lambda *a: 0\n",
    },
    "sitecustomize": {
        "sitecustomize.py": "import os\nos._exit(0)\n",
        "src/sitecustomize.py": "import os\nos._exit(0)\n",
    },
    "a random of its own": {"random.py": "import os\nos._exit(0)\n", "hashlib.py": "import os\nos._exit(0)\n"},
    "a runner of its own": {"recorder.py": "import os\nos._exit(0)\n", "line.py": "import os\nos._exit(0)\n"},
}

FOOLS_JUNIT = (
    "rewrite the report at exit",
    "reports always pass",
    "failures are reported as passed",
    "functions are not called",
    "calls catch everything",
    "one test is hooked by name",
    "one report is changed by name",
    "equal to everything",
    "the test file is rewritten",
    "exceptions are turned off",
)
