"""A right change with one insecure line: bandit and our own reading together refuse every one, in the lowest tier."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from analysis import make_environment, write

from councilor.adapters.analyzers.bandit import Bandit
from councilor.adapters.sandbox.bubblewrap import Bubblewrap
from councilor.adapters.system import SystemClock
from councilor.domain.gate import GateStatus, Severity
from councilor.pipeline.gates.security import security
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.metrics import NoMetrics

BASE = "def f(x):\n    return x\n"
INSECURE = [
    "eval(x)",
    "exec(x)",
    "value = eval(input())",
    "return eval(str(x)) or x",
    "subprocess.run(x, shell=True)",
    "subprocess.call('ls ' + x, shell=True)",
    "subprocess.check_output(f'ls {x}', shell=True)",
    "subprocess.Popen('ls', shell=True)  # nosec",
    "os.system(x)",
    "os.system('ls')",
    "os.popen('ls ' + x)",
    "yaml.load(x)",
    "yaml.load(x, Loader=yaml.Loader)",
    "yaml.load(x, yaml.UnsafeLoader)",
    "yaml.unsafe_load(x)",
    "pickle.loads(x)",
    "pickle.load(open(x, 'rb'))",
    "marshal.loads(x)",
    "shelve.open(x)",
    "dill.loads(x)",
    "password = 'hunter2'",
    "PASSWORD = 'correct horse'[:3] or 'hunter2'; db_password = 'hunter2'",
    "API_KEY = 'sk-1234567890abcdef'",
    "secret = 's3cr3t-value'",
    "login(x, password='hunter2')",
    "ok = x.password == 'hunter2'",
    "hashlib.md5(x).hexdigest()",
    "hashlib.sha1(x).hexdigest()",
    "hashlib.new('md5', x)",
    "tempfile.mktemp()",
    "open(tempfile.mktemp(suffix='.x'), 'w')",
    "cursor.execute('SELECT * FROM users WHERE name = \\'%s\\'' % x)",
    "cursor.execute(f'SELECT * FROM users WHERE name = {x}')",
    "cursor.execute('SELECT * FROM users WHERE name = {}'.format(x))",
    "cursor.execute('DELETE FROM users WHERE name = ' + x)",
    "query = f'SELECT * FROM users WHERE name = {x}'",
    "requests.get(x, verify=False)",
    "requests.Session().post(x, verify=False)",
    "httpx.Client(verify=False)",
    "ssl._create_unverified_context()",
    "ssl._create_default_https_context = ssl._create_unverified_context",
    "context.check_hostname = False",
    "context.verify_mode = ssl.CERT_NONE",
    "ssl.wrap_socket(x, cert_reqs=ssl.CERT_NONE)",
    "assert x.is_admin",
    "assert x.is_authenticated, 'log in first'",
    "assert user_has_permission(x)",
    "assert x.role == 'admin'",
    "os.chmod(x, 0o777)",
    "app.run(debug=True, host='0.0.0.0')",
    "tarfile.open(x).extractall()",
    "jinja2.Environment(autoescape=False)",
    "socket.socket().bind(('0.0.0.0', 80))",
    "open('/tmp/data.txt', 'w').write(x)",
    "Crypto.Cipher.DES.new(x)",
    "ssl.SSLContext(ssl.PROTOCOL_SSLv3)",
    "paramiko.SSHClient().set_missing_host_key_policy(paramiko.AutoAddPolicy)",
    "numpy.load(x, allow_pickle=True)",
    "telnetlib.Telnet(x)",
    "ftplib.FTP(x)",
]
IMPORTS = """import app, Crypto.Cipher.DES, dill, ftplib, hashlib, httpx, jinja2, marshal, numpy, os, paramiko, pickle
import requests, shelve, socket, ssl, subprocess, tarfile, telnetlib, tempfile, yaml
"""


@pytest.fixture(scope="module")
def builders() -> ModuleType:
    """The builders of the pipeline's unit tests."""
    path = Path(__file__).resolve().parents[1] / "unit/pipeline/conftest.py"
    spec = importlib.util.spec_from_file_location("pipeline_builders_of_insecure", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_no_insecure_line_gets_through(builders: ModuleType, tmp_path: Path) -> None:
    old = {f"src/m{number}.py": IMPORTS + BASE for number in range(len(INSECURE))}
    new = {
        path: old[path].replace("    return x\n", f"    {line}\n    return x\n")
        for path, line in zip(old, INSECURE, strict=True)
    }
    tools, scratch = tmp_path / "environment" / "tools", tmp_path / "scratch"
    tools.mkdir(parents=True)
    scratch.mkdir()
    bandit = Bandit(sandbox=Bubblewrap(scratch=scratch, metrics=NoMetrics(), clock=SystemClock()), scratch=scratch)
    pair = await bandit.analyze(
        AnalysisRequest(
            base=write(tmp_path / "base", old),
            candidate=write(tmp_path / "candidate", new),
            base_paths=tuple(old),
            candidate_paths=tuple(new),
            environment=make_environment(tools),
            timeout_s=60.0,
        )
    )
    accepted = []
    for path, line in zip(new, INSECURE, strict=True):
        mine = builders.pair(
            [item for item in pair.base.findings if item.path == path],
            [item for item in pair.candidate.findings if item.path == path],
        )
        change = builders.change(path, old[path], new[path])
        result = security(builders.make_input(change, bundle=builders.bundle(analyses={"security": mine})))
        if result.status is not GateStatus.FAILED:
            accepted.append(line)
        assert all(item.remediation for item in result.violations)
        assert "hunter2" not in repr(result)
    assert accepted == []
    assert Severity.HIGH in {item.severity for item in pair.candidate.findings}
