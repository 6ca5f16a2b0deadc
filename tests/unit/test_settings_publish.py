"""The settings of publishing: nothing leaves by default, and nothing unsafe can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from councilor.app.publishing import make_publishing
from councilor.errors import InputError
from councilor.settings import load_settings


def test_by_default_nothing_leaves_the_repository():
    settings = load_settings()
    publishing = make_publishing(settings)
    assert (settings.publish.push, settings.publish.patch, settings.publish.command) == (None, None, ())
    assert publishing.outlets == [] and publishing.rebase
    assert publishing.co_authors == {"repair": ("councilor <councilor@localhost>",)}


def test_places_come_in_the_order_that_a_pull_request_needs(tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text(
        "publish:\n  command: [pr]\n  push: origin\n  patch: /srv/patches\n  co_author: null\n"
        "workers:\n  mine:\n    kind: command\n    command: [agent]\n    co_author: Mine <mine@example.org>\n"
    )
    settings = load_settings(config=config)
    publishing = make_publishing(settings)
    assert [outlet.target for outlet in publishing.outlets] == ["patch", "push", "command"]
    assert [outlet.repeatable for outlet in publishing.outlets] == [True, True, False]
    assert publishing.co_authors == {"repair": (), "mine": ("Mine <mine@example.org>",)}
    assert settings.profile("mine").command == ("agent",)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("push: https://user:secret@example.org/x.git", "publish.push"),
        ("push: ../elsewhere", "publish.push"),
        ("push: --force", "publish.push"),
        ("patch: relative/folder", "absolute"),
        ("command: [bin/pr]", "absolute"),
        ("co_author: nobody", "Name <address>"),
        ('co_author: "A <a@b>\\nSigned-off-by: B <b@c>"', "Name <address>"),
        ("rebase: 1", "rebase"),
        ("timeout_s: 0", "timeout_s"),
        ("force: true", "force"),
    ],
)
def test_what_is_unsafe_is_refused(tmp_path: Path, line: str, problem: str):
    config = tmp_path / "config.yaml"
    config.write_text(f"publish:\n  {line}\n")
    with pytest.raises(InputError) as refused:
        load_settings(config=config)
    assert problem in f"{refused.value.message} {refused.value.hint()}" and "secret" not in refused.value.message
