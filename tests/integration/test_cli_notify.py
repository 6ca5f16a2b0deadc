"""`councilor notify`, and a run that tells of its end, through the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml
from commandline import CommandLine, hand
from journey import BUG, FIX, TOTAL, make_repository
from listener import listening

REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py; echo 'I fixed it.'"


def config(folder: Path, **notify: object) -> tuple[str, str]:
    path = Path(hand(folder, REPAIR)[1])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"notify": notify}))
    return "--config", str(path)


def test_a_trial_says_what_became_of_it(tmp_path: Path, councilor: CommandLine) -> None:
    assert "notify.webhook" in councilor("notify", "--test").expect(2).err
    assert "Nobody is notified." in councilor("notify").expect(0).out
    kept = tmp_path / "kept"
    with listening(200) as server:
        both = config(tmp_path, command=["tee", str(kept)], webhook=f"{server.url}/secret-path", secret_variable="S")
        secret = {"S": "0123456789abcdef"}
        assert "command, webhook" in councilor(*both, "notify", env=secret).expect(0).out
        assert server.got == []
        printed = councilor(*both, "notify", "--test", "--json", env=secret).expect(0).data
        assert [(item["channel"], item["error"]) for item in printed["trials"]] == [
            ("command", None),
            ("webhook", None),
        ]
        assert server.got[0].data == json.loads(kept.read_text())
        server.answers = (404,)
        failed = councilor(*both, "notify", "--test", env=secret).expect(4)
        assert "NOT sent" in failed.out and "404" in failed.out and "secret-path" not in failed.out + failed.err
        missing = councilor(*both, "notify", env={"S": ""}).expect(2)
        assert "notify.secret_variable" in missing.err


def test_a_run_tells_of_its_end(tmp_path: Path, councilor: CommandLine) -> None:
    with listening(500) as server:
        told = config(
            tmp_path, command=["tee", str(tmp_path / "kept")], webhook=f"{server.url}/secret-path", attempts=1
        )
        folder = make_repository(tmp_path / "shop")
        run = councilor(*told, "run", "Repair it", "-C", folder, "--test", TOTAL, "--json").expect(0)
    message = json.loads((tmp_path / "kept").read_text())
    assert (message["task_id"], message["reason"]) == (run.data["task_id"], "accepted")
    assert message["commit"] == run.data["commit"]
    assert server.got[0].data | {"sent_at": 0} == message | {"sent_at": 0}
    assert "500" in run.err and "secret-path" not in run.err + run.out
    assert os.fspath(folder) == message["repository"]
