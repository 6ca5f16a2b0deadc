"""What is masked, what is stripped, and what is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.domain import redaction
from councilor.domain.redaction import MASK, Redaction, is_secret_name, mask_secrets, plain_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hunter2@h/d", "postgresql://u:***@h/d"),
        ("redis://:hunter2@h:6379", "redis://:***@h:6379"),
        ("see postgres://u:hun/t@r2@h/d now", "see postgres://u:***@h/d now"),
        ("host=h password=hunter2 user=u", "host=h password=*** user=u"),
        ("password='hunter 2 x' user=u", "password=*** user=u"),
        ('{"api_key": "hunter2", "n": 1}', '{"api_key": ***, "n": 1}'),
        ('{"text": "{\\"api_key\\": \\"hunter2 x\\"}"}', '{"text": "{\\"api_key\\": ***}"}'),
        ('"password=\\\\\\"hunter2\\\\\\" x"', '"password=*** x"'),
        ("AWS_SECRET_ACCESS_KEY=hunter2", "AWS_SECRET_ACCESS_KEY=***"),
        ("https://h/x?token=hunter2&a=1", "https://h/x?token=***&a=1"),
        ("Authorization: Bearer hunter2hunter2", "Authorization: Bearer ***"),
        ("Authorization: hunter2", "Authorization: ***"),
        ("key sk-abcdefghijklmnop1234 used", "key *** used"),
        ("ghp_abcdefghijklmnopqrstuvwxyz012345", "***"),
        ("a -----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY----- b", "a *** b"),
        ("-----BEGIN EC PRIVATE KEY-----\ncut off", "***"),
        ("Authorization: token hunter2", "Authorization: token ***"),
        ("Proxy-Authorization: Negotiate hunter2=\nnext", "Proxy-Authorization: Negotiate ***\nnext"),
        ('authorization: Digest username="u", response=hunter2', "authorization: Digest ***"),
        ("Authorization: MyOwn hunter2", "Authorization: ***"),
        ("-H 'Authorization: Bearer hunter:2hunter2' https://h", "-H 'Authorization: Bearer ***' https://h"),
        ("authorization=Bearer%20hunter2", "authorization=***"),
        ('{"Authorization": "token hunter2", "n": 1}', '{"Authorization": ***, "n": 1}'),
        ("Cookie: sid=hunter2; b=c", "Cookie: ***"),
        ("Set-Cookie: sid=hunter2; Path=/", "Set-Cookie: ***"),
        ("token: Bearer hunter", "token: ***"),
        ("login --user u --password hunter2 now", "login --user u --password *** now"),
        ("--github-token 'hunter 2' x", "--github-token *** x"),
        ("SECRET_KEY = 'hunter2'", "SECRET_KEY = ***"),
        ("{'password': ['hunter2', 'b'], 'n': 1}", "{'password': ***, 'n': 1}"),
        ("https://0123456789abcdef0123@h/a.git", "https://***@h/a.git"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "got ***"),
    ],
)
def test_secrets_are_masked(text, shown):
    assert mask_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "tokens=120 cost_usd=0.3",
        "postgresql://u@h:5432/d",
        "http://127.0.0.1:8125/metrics",
        "the password was wrong",
        "def f(self) -> str: ...",
        "git@example.org:a/b.git",
        "2026-01-01T00:00:00Z task=0196",
        "run --token-file /x --password-env P",
        "ssh://git@example.org/a",
        "authorization failed",
    ],
)
def test_what_is_no_secret_is_left_alone(text):
    assert mask_secrets(text) == text


PIECES = [
    "password", "PWD", "Secret_Key", "apiKey", "access-key", "credentials", "Authorization", "Cookie", "Bearer ",
    "Basic ", "sk-", "ghp_", "github_pat_", "glpat-", "xoxb-", "hf_", "AKIA", "eyJ", "://", "http", "--",
    "-----BEGIN PRIVATE KEY-----", "=", ": ", " ", "'", '"', "@", ".", "a", "ABCDEFGH0123456789", "\n", "u:",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_looking_first_misses_nothing(text):
    masked = text
    for _, pattern, mask in redaction._PATTERNS:
        masked = pattern.sub(mask, masked)
    assert mask_secrets(text) == masked


def test_known_secrets_are_masked_wherever_they_stand():
    assert mask_secrets("x=correct-horse!", known=["correct-horse"]) == "x=***!"
    assert mask_secrets("a short one", known=["a", ""]) == "a short one"


def test_names_of_secrets():
    assert all(map(is_secret_name, ["password", "V3_DB_PASSWORD", "api_key", "apiKey", "auth_token", "Authorization"]))
    assert not any(map(is_secret_name, ["tokens", "task_id", "keyid", "secretary", "path"]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1;2|payload\x1b\\after", "after"),
        ("\x9b2Jclear", "clear"),
        ("\x1b(Bset", "set"),
        ("\x1bcreset", "reset"),
        ("a\rb\bc\x00", "a\\rb\\x08c\\x00"),
        ("rtl\u202egnp", "rtl\\u202egnp"),
        ("half \ud800 pair", "half \\ud800 pair"),
        ("café, 日本, 🙂", "café, 日本, 🙂"),
        ("one\ntwo\tthree", "one\\ntwo\\tthree"),
    ],
)
def test_nothing_is_left_that_drives_a_terminal(text, shown):
    assert plain_text(text) == shown


def test_lines_may_be_kept():
    assert plain_text("one\n\ttwo\x1b[2J\r\n", lines=True) == "one\n\ttwo\\r\n"


@given(st.text())
def test_plain_text_is_encodable_has_no_controls_and_is_settled(text):
    shown = plain_text(text)
    shown.encode("utf-8")
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert plain_text(shown) == shown


@pytest.mark.parametrize(
    "unit",
    ["a.", "a://b:", "\x9d", "\x90", "\x1b]", "\x1bP", "\x1b[0", "secret='", "secret ", 'token:"', "Bearer ", "sk-a",
     "-----BEGIN PRIVATE KEY-----", "password=\n", "x" * 7, "--", "a --b-", "--token ", "eyJ-", "eyJaaaaaaaaaaaa.",
     "secret=[", "Authorization: ", "https://aaaaaaaaaaaaaaaaaaaaaa"],
)  # fmt: skip
@pytest.mark.timeout(20)
def test_hostile_text_takes_linear_time(unit):
    text = unit * (400_000 // len(unit))
    started_s = time.process_time()
    mask_secrets(plain_text(text))
    mask_secrets(text)
    assert time.process_time() - started_s < 10


def test_data_of_every_kind_is_made_fit_to_be_shown():
    shown = Redaction(["correct", "correct-horse"]).value(
        "event",
        {
            "password": {"deep": "hunter2"},
            "list": [{"token": 5}, "api_key=hunter2", ("correct-horse", True, None, 1.5)],
            "bytes": b"secret=hunter2",
            "error": ValueError("pass\x1b[0mword=hunter2"),
            "set": {"a"},
            "correct-horse": 1,
        },
    )
    assert "hunter2" not in str(shown)
    assert "correct" not in str(shown)
    assert shown["password"] == MASK
    assert shown["list"] == [{"token": MASK}, "api_key=***", ["***", True, None, 1.5]]
    assert shown["set"] == ["a"]


def test_what_follows_an_option_for_a_secret_is_one():
    shown = Redaction().value("argv", ["agent", "--api-key", "hunter2", "--password=hunter2", "--token-file", "/x"])
    assert shown == ["agent", "--api-key", MASK, "--password=***", "--token-file", "/x"]


def test_nesting_without_end_becomes_text():
    endless: dict[str, object] = {}
    endless["self"] = endless
    assert "{...}" in str(Redaction().value("x", endless))
