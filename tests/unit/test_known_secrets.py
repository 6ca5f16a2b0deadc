"""Which secrets of the settings are masked wherever they occur."""

from __future__ import annotations

from pathlib import Path

import pytest

from councilor.app.notices import known_secrets
from councilor.domain.redaction import Redaction
from councilor.settings import load_settings


def masked(text: str, **flags: object) -> str:
    return Redaction(known_secrets(load_settings(flags=flags))).text(text)


def test_the_key_of_a_worker_that_is_a_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOUSE_KEY", "correct-horse")
    worker = {"kind": "llm", "endpoint": "https://h/v1", "model": "m", "api_key_env": "HOUSE_KEY"}
    assert masked("refused: correct-horse", **{"workers.house": worker}) == "refused: ***"


def test_the_key_that_signs_webhooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("SIGNS", "correct-horse-battery")
    assert masked("with correct-horse-battery", **{"notify.secret_variable": "SIGNS"}) == "with ***"
    file = tmp_path / "key"
    file.write_text("from-a-file-0123456789\n")
    assert masked("with from-a-file-0123456789", **{"notify.secret_file": str(file)}) == "with ***"


def test_a_key_that_is_not_there_hinders_nothing(tmp_path: Path):
    assert masked("text", **{"notify.secret_file": str(tmp_path / "none")}) == "text"


@pytest.mark.parametrize("flag", ["redis.url", "storage.database.url"])
def test_a_password_as_it_is_written_in_a_url_and_as_it_is_sent(flag: str):
    scheme = "redis" if flag == "redis.url" else "postgresql"
    flags = {flag: f"{scheme}://u:s3%40cr%2Fet@h/0"}
    assert masked("s3%40cr%2Fet and s3@cr/et", **flags) == "*** and ***"


def test_what_a_collector_is_sent_as_its_key(monkeypatch: pytest.MonkeyPatch):
    headers = "authorization=Bearer%20mag1c-key, x-team = 0123456789abcdef,x-set=work,broken"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    assert masked("mag1c-key of 0123456789abcdef at work, broken") == "*** of *** at work, broken"
