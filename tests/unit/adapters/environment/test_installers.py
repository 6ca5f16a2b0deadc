"""Which of the host's settings reach a build."""

from __future__ import annotations

from pathlib import Path

from councilor.adapters.environment.installers import installer_mounts, installer_variables, redact


def test_only_installers_variables_pass() -> None:
    host = {
        "PIP_TIMEOUT": "5",
        "UV_HTTP_TIMEOUT": "6",
        "https_proxy": "a",
        "HTTPS_PROXY": "b",
        "NO_PROXY": "c",
        "SSL_CERT_DIR": "/d",
        "AWS_SECRET": "no",
        "PYTHONPATH": "/no",
        "PIP_TARGET": "/no",
        "UV_PYTHON": "no",
        "UV_CACHE_DIR": "/no",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    passed = installer_variables(host)
    assert "no" not in passed.values() and "/no" not in passed.values()
    assert set(host) - set(passed) == {"AWS_SECRET", "PYTHONPATH", "PIP_TARGET", "UV_PYTHON", "UV_CACHE_DIR"}


def test_what_pip_was_told_uv_is_told_too(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://i/simple\ncert = /c.pem\nextra-index-url =\n    https://e/1\n    https://e/2\n"
    )
    host = {"PIP_CONFIG_FILE": str(config), "PIP_FIND_LINKS": "/a /b"}
    passed = installer_variables(host)
    assert passed["UV_DEFAULT_INDEX"] == "https://i/simple"
    assert passed["UV_INDEX"] == "https://e/1 https://e/2"
    assert passed["UV_FIND_LINKS"] == "/a,/b"
    assert passed["SSL_CERT_FILE"] == "/c.pem"
    assert installer_variables({**host, "UV_DEFAULT_INDEX": "mine"})["UV_DEFAULT_INDEX"] == "mine"
    assert installer_variables({**host, "PIP_INDEX_URL": "mine"})["UV_DEFAULT_INDEX"] == "mine"


def test_local_places_are_mounted_read_only(tmp_path: Path) -> None:
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "with space").mkdir()
    config = tmp_path / "pip.conf"
    (tmp_path / "caps.txt").touch()
    config.write_text(f"[global]\nconstraint = {tmp_path}/caps.txt\n")
    host = {"PIP_CONFIG_FILE": str(config)}
    variables = {
        "A": f"file://{tmp_path}/index/simple https://x",
        "B": f"file://{tmp_path}/with%20space",
        "C": "/",
        "D": "/no",
    }
    mounts = installer_mounts(host, variables)
    found = {mount.path for mount in mounts if mount.path.is_relative_to(tmp_path)}
    assert found == {config, tmp_path / "caps.txt", tmp_path / "index", tmp_path / "with space"}
    assert not any(mount.writable or mount.path == Path("/") for mount in mounts)


def test_credentials_are_redacted() -> None:
    assert redact("at https://user:pass@host/x and http://h/y") == "at https://***@host/x and http://h/y"
