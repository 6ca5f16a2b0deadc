"""Any program as a worker, in the real sandbox."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from modelhosts import model_server
from workbench import bare_environment, make_assignment, make_workspace

from councilor.adapters.system import SystemClock
from councilor.adapters.workers.command import CommandWorker
from councilor.domain.worker import PromptBy, WorkerOutcome, WorkerProfile, WorkerReport
from councilor.errors import InputError
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress
from councilor.settings import load_settings

PROMPT = "Repair it.\nÜmläute & $HOME `quotes`"


class Bench:
    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.home = folder / "person"
        self.home.mkdir()
        self.progress: list[Progress] = []
        python = Path(shutil.which("python3", path="/usr/bin:/bin") or "/usr/bin/python3")
        self.workspace = make_workspace(folder, bare_environment(python))

    async def run(
        self, *command: str, env: dict[str, str] | None = None, prompt: str = PROMPT, **profile: Any
    ) -> WorkerReport:
        worker = CommandWorker(
            profile=WorkerProfile(name="tool", kind="command", command=command, **profile),
            sandbox=self.sandbox,
            host_env={"PATH": os.environ["PATH"], "SECRET_OF_THE_HOST": "do not show", **(env or {})},
            home=self.home,
            clock=SystemClock(),
        )
        return await worker.run(make_assignment(prompt=prompt), self.workspace, self.progress.append)

    async def shell(self, script: str, **profile: Any) -> WorkerReport:
        return await self.run("sh", "-c", script, **profile)


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Bench:
    return Bench(tmp_path, sandbox)


@pytest.mark.parametrize(
    ("by", "command"),
    [
        (PromptBy.STDIN, ["sh", "-c", "cat > got"]),
        (PromptBy.FILE, ["sh", "-c", 'cat "$1" > got', "sh", "{prompt_file}"]),
        (PromptBy.ARGUMENT, ["sh", "-c", 'printf %s "$1" > got', "sh", "{prompt}"]),
    ],
)
async def test_the_prompt_arrives_unchanged(bench: Bench, by: PromptBy, command: list[str]) -> None:
    report = await bench.run(*command, prompt_by=by)
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    assert (bench.workspace.folder / "got").read_text() == PROMPT


async def test_it_works_in_the_workspace_and_nowhere_else(bench: Bench) -> None:
    outside = bench.home / "outside"
    report = await bench.shell(f"touch new; pwd; touch {outside} || echo refused; ls {bench.home} || echo unseen")
    assert (bench.workspace.folder / "new").exists()
    assert not outside.exists()
    assert str(bench.workspace.folder) in report.text
    assert "refused" in report.text
    assert "unseen" in report.text


async def test_home_and_temporary_files_are_its_own(bench: Bench) -> None:
    report = await bench.shell('touch "$HOME/a" "$TMPDIR/b" && echo "$HOME"')
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    assert report.text.startswith(str(bench.workspace.scratch))


async def test_python_sees_every_edit_at_once(bench: Bench) -> None:
    """A compiled file of the same second and size would be taken for the new source's."""
    script = "for n in 1 2 3 4 5; do echo value = $n > edited.py; python3 -c 'import edited; print(edited.value)'; done"
    assert (await bench.shell(script)).text.split() == ["1", "2", "3", "4", "5"]
    assert not (bench.workspace.folder / "__pycache__").exists()


async def test_only_named_credentials_are_handed_on_and_never_kept(bench: Bench) -> None:
    report = await bench.shell(
        'env; printf %s "$API_KEY" > key', credentials=("API_KEY",), env={"API_KEY": "sk-secret-1", "OTHER": "sk-other"}
    )
    assert (bench.workspace.folder / "key").read_text() == "sk-secret-1"
    kept = report.text + report.transcript.decode() + "".join(item.line for item in bench.progress)
    assert "[API_KEY]" in kept
    for hidden in ("sk-secret-1", "sk-other", "do not show", "TRACEPARENT"):
        assert hidden not in kept


async def test_folders_are_read_only_and_stand_in_its_home(bench: Bench) -> None:
    (bench.home / ".tool").mkdir()
    (bench.home / ".tool" / "config").write_text("blue")
    (bench.home / ".private").write_text("red")
    report = await bench.shell(
        'cat "$HOME/.tool/config"; touch "$HOME/.tool/new" || echo read-only; ls -A "$HOME"', folders=("~/.tool",)
    )
    assert "blue" in report.text
    assert "read-only" in report.text
    assert ".private" not in report.text
    assert [file.name for file in (bench.home / ".tool").iterdir()] == ["config"]


FETCH = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
"""


async def test_only_model_hosts_can_be_reached(bench: Bench) -> None:
    async with model_server() as allowed, model_server() as other:
        for hosts, target, reached in (
            ((), allowed, False),
            ((allowed,), allowed, True),
            ((allowed,), other, False),
        ):
            report = await bench.run("python3", "-c", FETCH, f"http://{target}/", model_hosts=hosts, timeout_s=20.0)
            assert (report.text == "hello") == reached, report.text


async def test_a_program_outside_the_system_folders_can_be_run(bench: Bench) -> None:
    tool = bench.home / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho from the tool\n")
    tool.chmod(0o755)
    report = await bench.run(str(tool))
    assert report.text == "from the tool"


async def test_a_link_of_the_repository_does_not_show_host_files(bench: Bench) -> None:
    secret = bench.home / "secret"
    secret.write_text("#!/bin/sh\necho told\n")
    secret.chmod(0o755)
    (bench.workspace.folder / "run").symlink_to(secret)
    report = await bench.run("./run")
    assert report.outcome is WorkerOutcome.FAILED
    assert "told" not in report.text


async def test_a_planted_link_in_its_home_leads_nowhere(bench: Bench) -> None:
    await bench.shell(f'rm -rf "$HOME/tmp"; ln -s {bench.home} "$HOME/tmp"; ln -s {bench.home}/x "$HOME/prompt.md"')
    await bench.run("sh", "-c", "true", "{prompt_file}", prompt_by=PromptBy.FILE)
    assert list(bench.home.iterdir()) == []


async def test_the_documented_profiles_are_valid_and_the_simplest_one_works(bench: Bench, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/howto/workers.md").read_text()
    config = tmp_path / "mine.yaml"
    config.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    profiles = load_settings(config=config).workers
    assert set(profiles) == {"repair", "claude", "codex", "patch"}
    (bench.workspace.folder / "a.txt").write_text("old\n")
    simplest = profiles["patch"]
    patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n"
    report = await bench.run(*simplest.command, prompt=patch, prompt_by=simplest.prompt_by)
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    assert (bench.workspace.folder / "a.txt").read_text() == "new\n"


async def test_exit_code_and_output_are_reported(bench: Bench) -> None:
    report = await bench.shell("echo first; printf '\\033[31mlast\\033[0m\\a\\n' >&2; exit 3")
    assert report.outcome is WorkerOutcome.FAILED
    assert report.exit_code == 3
    assert report.text == "first\nlast"
    assert bench.progress[-1].line == "last"
    assert report.usage.duration_s > 0


async def test_a_worker_that_hangs_is_ended(bench: Bench) -> None:
    report = await bench.shell("echo begun; sleep 60", timeout_s=1.5)
    assert report.outcome is WorkerOutcome.TIMED_OUT
    assert "begun" in report.text


async def test_output_is_capped(bench: Bench) -> None:
    report = await bench.shell("head -c 40000000 /dev/zero | tr '\\0' x; echo; echo end")
    assert len(report.transcript) <= 16 * 2**20
    assert len(report.text) <= 16_000
    assert max(len(item.line) for item in bench.progress) <= 200


async def test_json_lines_give_text_cost_and_tokens(bench: Bench) -> None:
    result = {
        "type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "total_cost_usd": 0.5,
        "result": "All 3 tests pass.", "usage": {"input_tokens": 7, "output_tokens": 3},
    }  # fmt: skip
    (bench.workspace.folder / "said").write_text("noise\n" + json.dumps(result) + "\n")
    report = await bench.shell("cat said")
    assert report.outcome is WorkerOutcome.FINISHED
    assert report.text == "All 3 tests pass."
    assert (report.usage.turns, report.usage.tokens, report.usage.cost_usd) == (2, 10, 0.5)
    (bench.workspace.folder / "said").write_text(json.dumps(result | {"is_error": True}))
    assert (await bench.shell("cat said")).outcome is WorkerOutcome.FAILED


@pytest.mark.parametrize(
    ("command", "profile", "message"),
    [
        ((), {}, "no command"),
        (("no-such-program-anywhere",), {}, "no-such-program-anywhere"),
        (("./missing.sh",), {}, "missing.sh"),
        (("sh",), {"credentials": ("NOT_SET",)}, "NOT_SET"),
        (("sh",), {"folders": ("~/.missing",)}, ".missing"),
        (("sh",), {"folders": ("relative",)}, "relative"),
        (("sh",), {"prompt_by": PromptBy.FILE}, "prompt_file"),
        (("sh", "{prompt}"), {"prompt_by": PromptBy.ARGUMENT, "prompt": "x" * 200_000}, "too long"),
    ],
)
async def test_what_is_missing_is_told_before_anything_runs(
    bench: Bench, command: tuple[str, ...], profile: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        await bench.run(*command, **profile)
    assert caught.value.hint()
    assert bench.progress == []


async def test_cancelling_ends_everything_it_started(bench: Bench) -> None:
    beat = bench.workspace.folder / "beat"
    task = asyncio.create_task(bench.shell("(while true; do date +%s%N > beat; sleep 0.05; done) & sleep 60"))
    while not beat.exists():
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await task
    last = beat.read_text()
    await asyncio.sleep(0.3)
    assert beat.read_text() == last
