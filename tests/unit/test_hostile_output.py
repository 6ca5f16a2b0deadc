"""Untrusted text on its way to a person or a program."""

from __future__ import annotations

import json
import unicodedata

import pytest

from councilor.surfaces.cli.output import Output

NASTY = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x200F, 0x061C, 0x2028])) + "plain é 値"


def test_json_holds_the_same_text_and_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).result({"text": NASTY, NASTY: 1})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"text": NASTY, NASTY: 1}
    assert {char for char in printed if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}} == {"\n"}
    assert "plain é 値" in printed


def test_lines_tables_and_notes_hold_none_either(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False)
    output.line(NASTY)
    output.table(("a",), [(NASTY,)], title="t")
    output.note(NASTY)
    captured = capsys.readouterr()
    for printed in (captured.out, captured.err):
        assert {char for char in printed if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}} <= {"\n", "\t"}
        assert "plain é 値" in printed
