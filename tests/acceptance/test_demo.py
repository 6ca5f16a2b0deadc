"""`councilor demo`, as a newcomer starts it: its last line and exit code are the promise that README makes."""

from __future__ import annotations

import json

from commandline import CommandLine


def test_the_demo_comes_out_right(councilor: CommandLine) -> None:
    demo = councilor.finish("demo").expect(0)
    result = json.loads(demo.out.splitlines()[-1])
    seconds = result.pop("seconds")
    assert 0 < seconds < 240
    decisions = {name: entry["decision"] for name, entry in result.items()}
    assert decisions.pop("wrong_patch") != "accept"
    assert decisions == {"repaired": "accept", "tampered_test": "reject", "forged_report": "reject"}
    assert "Traceback" not in demo.err
    print(f"\nthe demo took {seconds} s")


def test_every_task_of_the_demo_is_recorded_soundly(councilor: CommandLine) -> None:
    heads = councilor("list", "--limit", "4", "--json").expect(0).data
    assert sorted(head["state"] for head in heads if head["spec_id"] == "PRICE-1")[0] == "completed"
    for head in heads:
        assert councilor("verify", head["task_id"], "--json").expect(0).data["sound"] is True
