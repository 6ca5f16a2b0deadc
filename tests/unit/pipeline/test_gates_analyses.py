"""Gates on analyses: types, security, secrets, build_imports, api_diff; what fails, and what passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from councilor.domain.analysis import AnalysisPair, AnalysisRun, Finding
from councilor.domain.gate import GateResult, GateStatus, Severity
from councilor.domain.policy import load_policy
from councilor.domain.spec import Mode
from councilor.pipeline.gates import GateInput
from councilor.pipeline.gates.imports import build_imports
from councilor.pipeline.gates.interface import api_diff
from councilor.pipeline.gates.lint import types
from councilor.pipeline.gates.secrets import secrets
from councilor.pipeline.gates.security import security

CLEAN = AnalysisRun(findings=())
BROKEN = AnalysisRun(findings=(), error="it cannot run")
LOW, MEDIUM, HIGH = Severity.LOW, Severity.MEDIUM, Severity.HIGH


def found(
    rule: str, message: str = "m", *, path: str = "src/a.py", line: int = 1, severity: Severity = HIGH
) -> Finding:
    return Finding(path=path, line=line, rule=rule, message=message, severity=severity)


def given(make: SimpleNamespace, kind: str, pair: AnalysisPair, *changes: Any, tier: int = 3, **more: Any) -> GateInput:
    made = make.input(*changes, bundle=make.bundle(analyses={kind: pair}), **more)
    return replace(made, task=replace(made.task, tier=tier))


def rules(result: GateResult) -> list[str]:
    return [violation.rule for violation in result.violations]


def policy(gate: str, **thresholds: Any) -> Any:
    return load_policy(yaml.safe_dump({"gates": {gate: {"thresholds": thresholds}}}))


@pytest.mark.parametrize(
    ("gate", "kind", "rule"),
    [
        (types, "types", "TYPES-3"),
        (security, "security", "SECURE-2"),
        (secrets, "secrets", "SECRET-3"),
        (build_imports, "imports", "IMPORT-4"),
        (api_diff, "api", "BREAK-4"),
    ],
)
def test_a_tool_that_cannot_run(make: SimpleNamespace, gate: Callable[[GateInput], Any], kind: str, rule: str) -> None:
    only_now = gate(given(make, kind, AnalysisPair(base=CLEAN, candidate=BROKEN)))
    assert (only_now.status, rules(only_now)) == (GateStatus.FAILED, [rule])
    for pair in (AnalysisPair(base=BROKEN, candidate=BROKEN), AnalysisPair()):
        assert gate(given(make, kind, pair)).status is GateStatus.SKIPPED
    assert gate(make.input(bundle=None)).status is GateStatus.SKIPPED
    assert gate(given(make, kind, AnalysisPair(base=CLEAN, candidate=CLEAN))).status is GateStatus.PASSED


def configured(findings: Sequence[Finding]) -> AnalysisRun:
    return AnalysisRun(findings=tuple(findings), configured=True)


def test_types_1_counts_new_errors_where_the_repository_asks_for_them(make: SimpleNamespace) -> None:
    old, new = found("arg-type", "line 3", line=3), [found("arg-type", f"error {name}") for name in "abcdef"]
    pair = AnalysisPair(base=configured([old]), candidate=configured([replace(old, line=9), *new]))
    failed = types(given(make, "types", pair))
    assert (failed.status, rules(failed)) == (GateStatus.FAILED, ["TYPES-1"] * 6)
    few = AnalysisPair(base=configured([]), candidate=configured(new[:5]))
    assert types(given(make, "types", few)).status is GateStatus.WARNED
    assert types(given(make, "types", few, tier=2)).status is GateStatus.FAILED
    assert types(given(make, "types", few, tier=2, policy=policy("types", max_new=5))).status is GateStatus.WARNED


def test_types_2_only_warns_and_is_no_evidence_elsewhere(make: SimpleNamespace) -> None:
    pair = AnalysisPair(base=CLEAN, candidate=AnalysisRun(findings=(found("arg-type"),) * 9))
    result = types(given(make, "types", pair, tier=1))
    assert (result.status, set(rules(result)), result.evidence_ids) == (GateStatus.WARNED, {"TYPES-2"}, ())


@pytest.mark.parametrize(
    ("severity", "tier", "status"),
    [
        (LOW, 3, GateStatus.WARNED),
        (MEDIUM, 3, GateStatus.FAILED),
        (HIGH, 2, GateStatus.FAILED),
        (LOW, 2, GateStatus.WARNED),
        (LOW, 1, GateStatus.FAILED),
    ],
)
def test_secure_1_by_tier(make: SimpleNamespace, severity: Severity, tier: int, status: GateStatus) -> None:
    pair = make.pair([], [found("B301", severity=severity)])
    result = security(given(make, "security", pair, tier=tier))
    assert (result.status, rules(result)) == (status, ["SECURE-1"])


def test_secure_1_what_the_base_has_and_what_moved_is_not_new(make: SimpleNamespace) -> None:
    code = "import pickle\nx = pickle.loads(y)\n"
    before = found("B301", "pickle", path="src/a.py", line=2, severity=MEDIUM)
    moved = make.pair([before], [replace(before, path="src/b.py", line=2)])
    changes = (make.change("src/a.py", code, "z = 1\n"), make.change("src/b.py", None, code))
    assert security(given(make, "security", moved, *changes)).status is GateStatus.PASSED
    again = make.pair([before], [before, replace(before, path="src/b.py", line=2)])
    twice = (make.change("src/a.py", code, code + "z = 1\n"), make.change("src/b.py", None, code))
    assert security(given(make, "security", again, *twice)).status is GateStatus.FAILED


def test_secure_1_weighs_audits_down_and_shells_up(make: SimpleNamespace) -> None:
    for test in ("B310", "B105", "B314"):
        assert security(given(make, "security", make.pair([], [found(test)]))).status is GateStatus.WARNED
    for test in ("B602", "B608"):
        pair = make.pair([], [found(test, severity=LOW)])
        assert security(given(make, "security", pair)).status is GateStatus.FAILED
    in_test = make.pair([], [found("B602", path="tests/test_a.py")])
    assert security(given(make, "security", in_test)).status is GateStatus.WARNED


def test_secure_1_the_policy_sets_the_level(make: SimpleNamespace) -> None:
    pair = make.pair([], [found("B301", severity=MEDIUM)])
    for level, status in (("high", GateStatus.WARNED), ("never", GateStatus.WARNED), ("low", GateStatus.FAILED)):
        made = given(make, "security", pair, policy=policy("security", fail_at=level))
        assert security(made).status is status


def test_secure_2_a_file_that_cannot_be_scanned_any_more(make: SimpleNamespace) -> None:
    result = security(given(make, "security", make.pair([], [found("unreadable", "syntax error")])))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["SECURE-2"])
    old = found("unreadable", "syntax error")
    assert security(given(make, "security", make.pair([old], [old]))).status is GateStatus.PASSED


INSECURE = [
    ("assert user.is_admin", "SECURE-3"),
    ("assert request.user.has_perm('x'), 'no'", "SECURE-3"),
    ("assert isAuthenticated(user)", "SECURE-3"),
    ("requests.Session().get(url, verify=False)", "SECURE-4"),
    ("session.verify = False", "SECURE-4"),
    ("context.check_hostname = False", "SECURE-4"),
    ("context.verify_mode = ssl.CERT_NONE", "SECURE-4"),
    ("context = ssl._create_unverified_context()", "SECURE-4"),
    ("password = 'hunter2'", "SECURE-5"),
    ("self.db_password: str = 'hunter2'", "SECURE-5"),
    ("connect(host, passwd='hunter2')", "SECURE-5"),
    ("config = {'api_key': 'k-1234567'}", "SECURE-5"),
    ("config['secret_key'] = 'k-1234567'", "SECURE-5"),
    ("def f(user, password='letmein'): return user", "SECURE-5"),
    ("def f(*, apiKey='letmein'): return 1", "SECURE-5"),
    ("ok = given_password == 'letmein'", "SECURE-5"),
    ("data = yaml.unsafe_load(text)", "SECURE-6"),
    ("data = numpy.load(path, allow_pickle=True)", "SECURE-6"),
    ("data = joblib.load(path)", "SECURE-6"),
    ("run = eval", "SECURE-6"),
    ("builtins.exec(text)", "SECURE-6"),
]


@pytest.mark.parametrize(("line", "rule"), INSECURE)
def test_an_insecure_line_is_refused_in_every_tier(make: SimpleNamespace, line: str, rule: str) -> None:
    change = make.change("src/a.py", "x = 1\n", f"x = 2\n{line}\n")
    result = security(given(make, "security", make.pair(), change))
    assert (result.status, rules(result)) == (GateStatus.FAILED, [rule])
    assert result.violations[0].line == 2
    before = make.change("src/a.py", f"{line}\nx = 1\n", f"x = 2\n\n{line}\n")
    assert security(given(make, "security", make.pair(), before)).status is GateStatus.PASSED
    in_test = make.change("tests/test_a.py", "x = 1\n", f"x = 2\n{line}\n")
    assert security(given(make, "security", make.pair(), in_test)).status is GateStatus.WARNED
    unscanned = security(given(make, "security", AnalysisPair(), change))
    assert (unscanned.status, unscanned.evidence_ids) == (GateStatus.FAILED, ())


@pytest.mark.parametrize(
    "line",
    [
        "assert len(items) == 3",
        "assert user.permission is not None",
        "assert isinstance(auth, tuple)",
        "assert token",
        "verify(x, check=False)",
        "password = ''",
        "password = os.environ['PASSWORD']",
        "password = '<password>'",
        "PASSWORD = 'password'",
        "password_field = 'passwd'",
        "PASSWORD_LABEL = 'Your pass phrase'",
        "if token == '(': pass",
        "token = 'NUMBER'",
        "parser.add_argument('--password', help='the password')",
        "compass = 'north'",
        "pass_arg = 'environment'",
        "key = 'abcdefgh'",
        "data = yaml.safe_load(text)",
        "numpy.load(path, allow_pickle=False)",
        "re.compile(pattern)",
    ],
)
def test_an_ordinary_line_is_not(make: SimpleNamespace, line: str) -> None:
    change = make.change("src/a.py", "x = 1\n", f"x = 2\n{line}\n")
    assert security(given(make, "security", make.pair(), change)).status is GateStatus.PASSED


def test_secret_1_and_2(make: SimpleNamespace) -> None:
    key = found("AWS Access Key", "AWS Access Key, marked abcdefgh")
    result = secrets(given(make, "secrets", make.pair([], [key])))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["SECRET-1"])
    moved = replace(key, path="src/other.py", line=40)
    assert secrets(given(make, "secrets", make.pair([key], [moved]))).status is GateStatus.PASSED
    second = secrets(given(make, "secrets", make.pair([key], [key, moved])))
    assert second.status is GateStatus.FAILED
    for path in ("tests/test_a.py", "docs/how.py", "README.md"):
        assert secrets(given(make, "secrets", make.pair([], [replace(key, path=path)]))).status is GateStatus.WARNED
    guess = found("Secret Keyword", "Secret Keyword, marked abcdefgh", severity=LOW)
    warned = secrets(given(make, "secrets", make.pair([], [guess])))
    assert (warned.status, rules(warned)) == (GateStatus.WARNED, ["SECRET-2"])
    strict = given(make, "secrets", make.pair([], [guess]), policy=policy("secrets", fail_at="low"))
    assert secrets(strict).status is GateStatus.FAILED


def test_imports(make: SimpleNamespace) -> None:
    changes = (make.change("src/a.py", "x = 1\n", "x = 2\n"), make.change("src/new.py", None, "x = 2\n"))

    def gate(base: Sequence[Finding], candidate: Sequence[Finding]) -> GateResult:
        return build_imports(given(make, "imports", make.pair(base, candidate), *changes))

    syntax, gone = found("syntax", "invalid syntax"), found("import", "NameError: x")
    assert rules(gate([], [syntax])) == ["IMPORT-1"]
    assert rules(gate([], [gone])) == ["IMPORT-2"]
    assert gate([gone], [gone]).status is GateStatus.PASSED
    assert gate([found("missing")], [gone]).status is GateStatus.PASSED
    new = gate([], [replace(gone, path="src/new.py")])
    assert (new.status, rules(new)) == (GateStatus.FAILED, ["IMPORT-3"])
    optional = gate([], [found("missing", "django: No module named 'django'", path="src/new.py")])
    assert (optional.status, rules(optional)) == (GateStatus.WARNED, ["IMPORT-3"])
    assert gate([], [found("missing", "No module named 'django'")]).status is GateStatus.FAILED


GONE = found("OBJECT_REMOVED", "a.total: Public object was removed")
MOVED = found("PARAMETER_MOVED", "a.total(rate): Positional parameter was moved", severity=MEDIUM)
DEFAULT = found("PARAMETER_CHANGED_DEFAULT", "a.total(rate): Parameter default was changed", severity=LOW)


@pytest.mark.parametrize(
    ("finding", "mode", "status", "rule"),
    [
        (GONE, Mode.FIX, GateStatus.FAILED, "BREAK-1"),
        (GONE, Mode.REFACTOR, GateStatus.FAILED, "BREAK-1"),
        (GONE, Mode.FEATURE, GateStatus.WARNED, "BREAK-1"),
        (MOVED, Mode.FIX, GateStatus.WARNED, "BREAK-2"),
        (MOVED, Mode.REFACTOR, GateStatus.FAILED, "BREAK-2"),
        (DEFAULT, Mode.REFACTOR, GateStatus.WARNED, "BREAK-3"),
    ],
)
def test_breakages_by_mode(make: SimpleNamespace, finding: Finding, mode: Mode, status: GateStatus, rule: str) -> None:
    made = given(make, "api", make.pair([], [finding]))
    made = replace(made, spec=made.spec.model_copy(update={"mode": mode}))
    result = api_diff(made)
    assert (result.status, rules(result)) == (status, [rule])
    asked = replace(made, spec=made.spec.model_copy(update={"title": "Take total away"}))
    assert api_diff(asked).status is GateStatus.WARNED


def test_break_1_what_nobody_imports_is_not_public(make: SimpleNamespace) -> None:
    for path in ("tests/test_a.py", "docs/conf.py", "setup.py", "benchmarks/run.py"):
        pair = make.pair([], [replace(GONE, path=path)])
        assert api_diff(given(make, "api", pair)).status is GateStatus.PASSED


def test_break_1_the_policy_sets_the_level(make: SimpleNamespace) -> None:
    never = given(make, "api", make.pair([], [GONE]), policy=policy("api_diff", fail_at="never"))
    assert api_diff(never).status is GateStatus.WARNED
    low = given(make, "api", make.pair([], [DEFAULT]), policy=policy("api_diff", fail_at="low"))
    assert api_diff(low).status is GateStatus.FAILED


def test_break_4_a_module_that_cannot_be_read_any_more(make: SimpleNamespace) -> None:
    result = api_diff(given(make, "api", make.pair([], [found("unreadable", "SyntaxError")])))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["BREAK-4"])
