"""Layers, refusals and masking of the configuration."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from councilor.domain.preset import PRESETS
from councilor.domain.worker import PromptBy, WorkerProfile
from councilor.errors import InputError
from councilor.settings import (
    Settings,
    default_data_dir,
    default_file,
    explain,
    load_settings,
    read_secret,
    setting_fields,
    variable_name,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("V3_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def effective(settings: Settings) -> dict[str, tuple[object, str]]:
    return {item.key: (item.value, item.origin) for item in explain(settings)}


def test_defaults_name_every_key_and_no_other():
    def leaves(values: dict, prefix: str = ""):
        for key, value in values.items():
            if isinstance(value, dict):
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield prefix + key

    in_file = set(leaves(yaml.safe_load(default_file().read_text())))
    declared = {key for key in setting_fields() if "<name>" not in key}
    assert {key for key in in_file if not key.startswith("workers.")} == declared
    assert load_settings().run.worker == "repair"


def test_the_roadmaps_keys_and_flags_are_there_with_their_defaults():
    settings = load_settings()
    flags = [
        "coreml",
        "observability.prometheus",
        "observability.statsd",
        "observability.redis",
        "storage.db_artifacts",
    ]
    assert [settings.value(flag) for flag in flags] == [False, False, False, False, True]
    assert {"redis.url", "prometheus.port", "statsd.port", "storage.database.url"} <= setting_fields().keys()
    assert settings.storage.database.url is None


def test_each_layer_wins_over_the_one_before(write, monkeypatch):
    mine = write("run: {max_iterations: 4, deadline_s: 10}\nengine: {poll_s: 1}\nlog: {level: debug}\n")
    monkeypatch.setenv("V3_RUN__DEADLINE_S", "20")
    monkeypatch.setenv("V3_ENGINE__POLL_S", "2.5")
    settings = load_settings(config=mine, flags={"engine.poll_s": 3.5, "log.level": None})
    found = effective(settings)
    assert found["run.worker"] == ("repair", "default")
    assert found["run.max_iterations"] == (4, f"file {mine}")
    assert found["run.deadline_s"] == (20.0, "environment V3_RUN__DEADLINE_S")
    assert found["engine.poll_s"] == (3.5, "flag")
    assert found["log.level"] == ("debug", f"file {mine}")
    assert settings.engine.poll_s == 3.5


def test_environment_reaches_flags_secrets_null_and_worker_profiles(write, monkeypatch):
    monkeypatch.setenv("V3_STORAGE__DB_ARTIFACTS", "false")
    monkeypatch.setenv("V3_STORAGE__DATABASE__URL", "null")
    monkeypatch.setenv("V3_WORKERS__MINE__KIND", "command")
    monkeypatch.setenv("V3_WORKERS__MINE__COMMAND", '["agent", "--now"]')
    monkeypatch.setenv("V3_RUN__WORKER", "mine")
    monkeypatch.setenv("V3_LOG__LEVEL", "")
    settings = load_settings(config=write("storage: {database: {url: 'postgresql://h/d'}}"))
    assert settings.storage.db_artifacts is False
    assert settings.storage.database.url is None
    assert settings.log.level == "info"
    assert settings.profile("mine") == WorkerProfile(name="mine", kind="command", command=("agent", "--now"))
    assert settings.profile("repair").timeout_s == 600.0


def test_a_file_may_add_a_worker_and_change_one_key_of_another(write):
    settings = load_settings(
        config=write(
            "workers:\n"
            "  repair: {timeout_s: 5}\n"
            "  agent: {kind: command, command: [a], prompt_by: file, credentials: [A_KEY], model_hosts: ['h.x:443']}\n"
        )
    )
    assert settings.profile("repair") == WorkerProfile(name="repair", kind="repair", timeout_s=5)
    agent = settings.profile("agent")
    assert (agent.prompt_by, agent.credentials, agent.model_hosts) == (PromptBy.FILE, ("A_KEY",), ("h.x:443",))
    with pytest.raises(InputError, match=r"no worker 'other'.*agent, repair"):
        settings.profile("other")


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("sandbx: {kind: none}", "sandbx.kind", "sandbox.kind"),
        ("storage: {database: {pool_sise: 3}}", "storage.database.pool_sise", "storage.database.pool_size"),
        ("db_artifacts: false", "db_artifacts", "storage.db_artifacts"),
        ("workers: {repair: {timeout: 3}}", "workers.repair.timeout", "workers.repair.timeout_s"),
        ("run: {worker: {name: x}}", "run.worker.name", "run.worker"),
    ],
)
def test_unknown_key_in_the_file_names_it_and_the_nearest(write, text, key, near):
    with pytest.raises(InputError) as caught:
        load_settings(config=write(text))
    assert caught.value.field == key
    assert key in caught.value.message
    assert caught.value.hint() == f"Did you mean {near}?"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("V3_LOGS__LEVEL", "V3_LOG__LEVEL"),
        ("V3_STORAGE__DATABASE__URI", "V3_STORAGE__DATABASE__URL"),
        ("V3_STORAGE_DATABASE_URL", "V3_STORAGE__DATABASE__URL"),
        ("v3_engine__pol_s", "V3_ENGINE__POLL_S"),
        ("V3_WORKERS__MINE__COMAND", "V3_WORKERS__MINE__COMMAND"),
    ],
)
def test_unknown_variable_names_it_and_the_nearest(monkeypatch, name, near):
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(InputError) as caught:
        load_settings()
    assert name in caught.value.message
    assert caught.value.hint() == f"Did you mean {near}?"
    assert "hunter2" not in caught.value.message


def test_a_variable_for_a_whole_block_is_refused(monkeypatch):
    monkeypatch.setenv("V3_STORAGE", '{"db_artifacts": false}')
    with pytest.raises(InputError, match="V3_STORAGE"):
        load_settings()


def test_unknown_flag_is_refused():
    with pytest.raises(InputError, match=r"log\.colour \(flag\)"):
        load_settings(flags={"log.colour": "red"})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sandbox: {memory_bytes: lots}", "sandbox.memory_bytes"),
        ("sandbox: {memory_bytes: true}", "sandbox.memory_bytes"),
        ("sandbox: {memory_bytes: 1.5}", "sandbox.memory_bytes"),
        ("sandbox: {kind: chroot}", "sandbox.kind"),
        ("sandbox: none", "sandbox"),
        ("coreml: 0", "coreml"),
        ("storage: {db_artifacts: 1}", "storage.db_artifacts"),
        ("engine: {poll_s: 0}", "engine.poll_s"),
        ("council: {sla_s: '.nan'}", "council.sla_s"),
        ("council: {sla_s: inf}", "council.sla_s"),
        ("statsd: {port: 65536}", "statsd.port"),
        ("data_dir: 5", "data_dir"),
        ("data_dir: ''", "data_dir"),
        ("storage: {database: {url: 'mysql://u:hunter2@h/d'}}", "storage.database.url"),
        ("workers: {repair: {credentials: ['A KEY']}}", "workers.repair.credentials"),
        ("workers: {repair: {model_hosts: ['h']}}", "workers.repair.model_hosts"),
        ("workers: {repair: {command: [x]}}", "workers.repair"),
        ("workers: {agent: {kind: command}}", "workers.agent"),
        ("workers: {agent: {kind: acp}}", "workers.agent"),
        ("workers: {agent: {kind: command, command: [x], sign_in: y}}", "workers.agent"),
        ("workers: {agent: {preset: claud}}", "workers.agent"),
        ("workers: {agent: {preset: claude, kind: repair}}", "workers.agent"),
        ("workers: {agent: {preset: claude, command: []}}", "workers.agent"),
        ("workers: {Agent: {kind: repair}}", "workers.Agent"),
        ("workers: {agent: {timeout_s: 4}}", "workers.agent.kind"),
        ("log: {level: }", "log.level"),
    ],
)
def test_wrong_value_names_its_key_and_who_said_it(write, text, key):
    mine = write(text)
    with pytest.raises(InputError) as caught:
        load_settings(config=mine)
    assert caught.value.field == key
    assert f"{key} (file {mine})" in caught.value.message or key == "workers.agent.kind"
    assert "hunter2" not in caught.value.message
    assert caught.value.__cause__ is None


def test_wrong_variable_names_itself(monkeypatch):
    monkeypatch.setenv("V3_SANDBOX__PROCESSES", "many")
    with pytest.raises(InputError, match=r"sandbox\.processes \(environment V3_SANDBOX__PROCESSES\)"):
        load_settings()


def test_a_list_variable_that_is_no_json_is_refused(monkeypatch):
    monkeypatch.setenv("V3_WORKERS__MINE__KIND", "command")
    monkeypatch.setenv("V3_WORKERS__MINE__COMMAND", "agent --now")
    with pytest.raises(InputError) as caught:
        load_settings()
    assert "workers.mine.command" in caught.value.message or "JSON" in caught.value.hint()


@pytest.mark.parametrize(
    ("key", "backend"),
    [
        ("coreml", "Core ML"),
    ],
)
def test_a_flag_without_an_adapter_cannot_be_switched_on(monkeypatch, key, backend):
    monkeypatch.setenv(variable_name(key), "true")
    with pytest.raises(InputError, match=f"{key}: this release has no adapter for {backend}") as caught:
        load_settings()
    assert caught.value.field == key


def test_the_runs_worker_must_be_configured():
    with pytest.raises(InputError, match="no worker 'absent'"):
        load_settings(flags={"run.worker": "absent"})


@pytest.mark.parametrize(
    "text",
    [
        "- a\n- b",
        "just text",
        "a: b: c",
        "log: {level: info}\nlog: {level: debug}",
        "a: &x 1\nb: *x",
        "x: !!python/none",
    ],
)
def test_a_file_that_is_no_plain_mapping_is_refused(write, text):
    mine = write(text)
    with pytest.raises(InputError, match=r"mine\.yaml"):
        load_settings(config=mine)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_settings(config=tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_settings(config=tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        load_settings(config=binary)


def test_an_empty_file_changes_nothing(write):
    assert load_settings(config=write("# nothing yet\n\n")) == load_settings()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@h:5432/d", "postgresql://me:***@h:5432/d"),
        ("postgresql://me:hun/t@r2@h/d", "postgresql://me:***@h/d"),
        ("postgresql://h/d?user=me&password=hunter2", "postgresql://h/d?user=me&password=***"),
        ("postgresql://me@h/d", "postgresql://me@h/d"),
        ("postgresql:///d?host=/run/x", "postgresql:///d?host=/run/x"),
    ],
)
def test_the_database_password_is_shown_nowhere(monkeypatch, url, shown):
    monkeypatch.setenv("V3_STORAGE__DATABASE__URL", url)
    settings = load_settings()
    assert effective(settings)["storage.database.url"] == (shown, "environment V3_STORAGE__DATABASE__URL")
    assert url not in repr(settings)
    assert settings.storage.database.url is not None
    assert settings.storage.database.url.get_secret_value() == url


def test_settings_are_frozen():
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.run.worker = "other"
    with pytest.raises(ValidationError):
        settings.coreml = True


def test_data_folder_for_a_user_and_for_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_data_dir() == Path("/home/me/.local/share/councilor")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_data_dir() == Path("/data/councilor")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_data_dir() == Path("/home/me/.local/share/councilor")
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_data_dir() == Path("/home/me/Library/Application Support/councilor")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/councilor")


def test_a_configured_data_folder_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    assert load_settings(flags={"data_dir": "~/x"}).runs_dir == Path("/home/me/x/runs")
    monkeypatch.chdir(tmp_path)
    assert load_settings(flags={"data_dir": "x"}).keys_dir == tmp_path / "x" / "keys"


def test_the_reference_page_is_what_the_code_generates():
    page = runpy.run_path(str(ROOT / "docs" / "generate.py"))["configuration_page"]()
    assert (ROOT / "docs/reference/configuration.md").read_text() == page, "run `python docs/generate.py`"


def test_the_example_of_the_reference_page_loads(write):
    page = (ROOT / "docs/reference/configuration.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert load_settings(config=write(example)).run.worker == "mine"


def test_the_default_file_is_found_inside_an_installed_package(tmp_path, monkeypatch):
    package = tmp_path / "site" / "councilor"
    (package / "settings").mkdir(parents=True)
    (package / "config").mkdir()
    (package / "config" / "default.yaml").write_text("{}")
    monkeypatch.setattr("councilor.settings.layers.__file__", str(package / "settings" / "layers.py"))
    assert default_file() == package / "config" / "default.yaml"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"notify.webhook": "http://example.org/secret"}, "this machine only"),
        ({"notify.webhook": "https://me:secret@example.org/"}, "without a user"),
        ({"notify.webhook": "ftp://example.org/secret"}, "https://"),
        ({"notify.webhook": "https://exa mple.org/secret"}, "printable ASCII"),
        ({"notify.webhook": "https://example.org:99999/secret"}, "URL"),
        ({"notify.command": ["./secret.sh"]}, "absolute path"),
        ({"notify.reasons": ["secret"]}, "ended"),
        ({"notify.secret_file": "secret/file"}, "absolute path"),
        ({"notify.secret_file": "/secret", "notify.secret_variable": "secret"}, "both"),
        ({"notify.attempts": 0}, "greater than or equal to 1"),
    ],
)
def test_notifications_that_cannot_be_sent_safely_are_refused(flags: dict[str, object], told: str):
    with pytest.raises(InputError, match=told) as raised:
        load_settings(flags=flags)
    assert "secret" not in raised.value.message.replace("secret_file", "").replace("secret_variable", "")


def test_a_webhooks_path_is_shown_nowhere():
    settings = load_settings(flags={"notify.webhook": "https://hooks.example.org/T0/secret?token=secret"})
    assert effective(settings)["notify.webhook"] == ("https://hooks.example.org/***", "flag")
    for url in ("http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]:9/x"):
        assert load_settings(flags={"notify.webhook": url}).notify.webhook is not None


def test_a_secret_among_a_command_s_arguments_is_not_shown():
    command = ["agent", "--token", "hunter2", "--fast"]
    settings = load_settings(flags={"workers.mine": {"kind": "command", "command": command}})
    shown = {item.key: item.value for item in explain(settings)}
    assert shown["workers.mine.command"] == ["agent", "--token", "***", "--fast"]


def test_a_secret_is_read_from_where_the_settings_say(tmp_path, monkeypatch):
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    monkeypatch.setenv("MY_SECRET", "from a variable")
    assert read_secret(variable=None, file=None) is None
    assert read_secret(variable="MY_SECRET", file=None) == "from a variable"
    assert read_secret(variable=None, file=file) == "from a file"
    for variable, path in (("NOT_SET", None), (None, tmp_path), (None, tmp_path / "none"), (None, Path("/dev/zero"))):
        with pytest.raises(InputError, match="secret"):
            read_secret(variable=variable, file=path)


def test_a_preset_fills_in_what_a_profile_does_not_say(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "workers:\n"
        "  plain: {preset: claude}\n"
        "  mine: {preset: claude, credentials: [CLAUDE_CODE_OAUTH_TOKEN], timeout_s: 60, model: opus}\n"
        "  spoken: {preset: gemini-acp}\n"
    )
    settings = load_settings(config=file)
    plain, mine, spoken = (settings.profile(name) for name in ("plain", "mine", "spoken"))
    preset = PRESETS["claude"]
    assert (plain.kind, plain.command, plain.model_hosts) == ("command", preset.command, preset.model_hosts)
    assert plain.credentials == ("ANTHROPIC_API_KEY",)
    assert (mine.command, mine.credentials, mine.timeout_s) == (preset.command, ("CLAUDE_CODE_OAUTH_TOKEN",), 60.0)
    assert (spoken.kind, spoken.command) == ("acp", ("gemini", "--acp"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_profile(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"workers: {{mine: {{preset: {name}}}}}\n")
    profile = load_settings(config=file).profile("mine")
    placeholder = {"file": "{prompt_file}", "argument": "{prompt}"}.get(profile.prompt_by.value, "")
    assert any(placeholder in word for word in profile.command)
    assert bool(profile.model_hosts) != bool(PRESETS[name].needs)
