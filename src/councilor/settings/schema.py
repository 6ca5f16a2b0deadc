"""What can be configured: one frozen model per block of `config/default.yaml`.

Rules:
- A default lives in `config/default.yaml` only; the models have none, except inside a worker's or judge's profile,
  whose keys the file cannot foresee.
- A key that no model declares is refused, and so are a truth value for a number and a number for a truth value.
- A flag whose adapter this release does not have cannot be switched on; it is never silently ignored.

It does not read files, the environment or flags: see `layers.py`. docs/reference/configuration.md is generated from the
descriptions here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from councilor.domain.preset import PRESETS
from councilor.domain.task import MOST_CANDIDATES
from councilor.domain.worker import ModelUse, PromptBy, WorkerProfile
from councilor.errors import InputError
from councilor.settings.block import Block, HostPort, ProfileName, Seconds, VariableName, checked_truth
from councilor.settings.council import CouncilSettings
from councilor.settings.modelworker import ModelWorkerSettings
from councilor.settings.notifying import NotifySettings
from councilor.settings.observing import (
    Breakers,
    CacheSettings,
    HealthSettings,
    Observability,
    Prometheus,
    Redis,
    Serve,
    Statsd,
    Traces,
)
from councilor.settings.publishing import Author, PublishSettings
from councilor.settings.retention import RetentionSettings

__all__ = ["Settings", "default_data_dir"]


COMMANDED = frozenset({"acp", "command"})
"""Kinds of workers that are programs of one's own."""
_NOT_IN_THIS_RELEASE = {
    "coreml": "Core ML",
}


def default_data_dir() -> Path:
    """Where data goes when nobody says: a system folder for root, else the user's data folder.

    The macOS folders are untested. Source: XDG Base Directory Specification 0.8 (a relative path is ignored).
    """
    root = os.geteuid() == 0
    if sys.platform == "darwin":
        return (Path("/") if root else Path.home()) / "Library" / "Application Support" / "councilor"
    if root:
        return Path("/var/lib/councilor")
    xdg = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".local" / "share") / "councilor"


class Database(Block):
    """PostgreSQL."""

    url: SecretStr | None = Field(
        description="`postgresql://user:password@host:port/name` of a server >= 15; null: the embedded server."
    )
    pool_size: PositiveInt = Field(description="Most connections of one process.")
    connect_timeout_s: Seconds = Field(description="Seconds to wait for a connection.")
    statement_timeout_s: Seconds = Field(description="Seconds after which the server ends a statement.")

    @field_validator("url")
    @classmethod
    def _is_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("Input should be a URL that starts with postgresql://")
        return url


class CheckpointSettings(Block):
    """Where signed checkpoints of the log are kept outside the database."""

    every_s: Seconds = Field(description="Seconds between checkpoints while something is recorded.")
    folders: tuple[Path, ...] = Field(
        description="Further folders for the newest checkpoint, such as a mounted disk; each must exist."
    )

    @field_validator("folders")
    @classmethod
    def _are_absolute(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        for folder in folders:
            if not folder.expanduser().is_absolute():
                raise ValueError(f"Input should be absolute paths, and {str(folder)!r} is not one")
        return tuple(folder.expanduser() for folder in folders)


class Storage(Block):
    """Where artifacts and records are kept."""

    db_artifacts: bool = Field(
        description="Feature flag: artifacts in the database; false keeps them in memory and publishes nothing."
    )
    quota_bytes: PositiveInt | None = Field(
        description="What the bytes of artifacts may take in the database; null: no limit."
    )
    retention: RetentionSettings
    checkpoints: CheckpointSettings
    database: Database


class SandboxSettings(Block):
    """How untrusted code is held."""

    kind: Literal["auto", "bubblewrap", "landlock", "seatbelt", "none"] = Field(
        description="Which sandbox; `auto` takes the strongest that works here, `none` holds nothing and is recorded."
    )
    memory_bytes: PositiveInt = Field(description="Memory of one job as a whole.")
    processes: PositiveInt = Field(description="Processes and threads of one job.")
    file_bytes: PositiveInt = Field(description="Size of the largest file that a job may write.")
    disk_bytes: PositiveInt = Field(description="What a job may add to its writable folders altogether.")
    output_bytes: PositiveInt = Field(description="Output of one job that is kept.")

    def ceiling(self) -> dict[str, int]:
        """What no job exceeds, by the names of a job's limits."""
        return self.model_dump(exclude={"kind"})


class TierBudget(Block):
    """Seconds by risk tier; 0 leaves it out."""

    tier_1: NonNegativeFloat = Field(
        allow_inf_nan=False, description="Seconds in tier 1, the highest risk; 0: not measured."
    )
    tier_2: NonNegativeFloat = Field(allow_inf_nan=False, description="Seconds in tier 2; 0: not measured.")
    tier_3: NonNegativeFloat = Field(
        allow_inf_nan=False, description="Seconds in tier 3, the lowest risk; 0: not measured."
    )

    def of(self, tier: int) -> float:
        """Seconds of a tier, 1 to 3."""
        return (self.tier_1, self.tier_2, self.tier_3)[tier - 1]


class TierSeconds(Block):
    """Seconds by risk tier."""

    tier_1: Seconds = Field(description="Seconds in tier 1, the highest risk.")
    tier_2: Seconds = Field(description="Seconds in tier 2.")
    tier_3: Seconds = Field(description="Seconds in tier 3, the lowest risk.")

    def of(self, tier: int) -> float:
        """Seconds of a tier, 1 to 3."""
        return (self.tier_1, self.tier_2, self.tier_3)[tier - 1]


class EvidenceSettings(Block):
    """How trees are measured."""

    timeout_s: TierSeconds
    budget_s: TierSeconds
    strength_s: TierBudget
    differential_s: TierBudget
    test_timeout_s: Seconds = Field(description="Seconds for one test; a longer one counts as failed.")
    canaries: PositiveInt = Field(description="Injected tests that must fail, in every run of a suite.")
    flaky_reruns: NonNegativeInt = Field(description="Reruns of a failed test on the same tree to see if it is flaky.")
    confirmations: NonNegativeInt = Field(
        description="Further runs of the tests that show a fix, on base and candidate; they must agree."
    )
    reuse_baseline: bool = Field(
        description="Repeat an earlier, verified run of the base's tests on the same tree and environment."
    )
    baseline_age_s: Seconds = Field(description="Age in seconds above which a run of the base's tests is not repeated.")


Candidates = Annotated[int, Field(ge=1, le=MOST_CANDIDATES)]


class TierCandidates(Block):
    """Candidates of one iteration that workers make side by side, by risk tier; the best one goes on."""

    tier_1: Candidates = Field(description="How many in tier 1, the highest risk.")
    tier_2: Candidates = Field(description="How many in tier 2.")
    tier_3: Candidates = Field(description="How many in tier 3, the lowest risk.")

    @property
    def by_tier(self) -> dict[int, int]:
        """Tier -> how many."""
        return {1: self.tier_1, 2: self.tier_2, 3: self.tier_3}


class RunSettings(Block):
    """What a run gets when its working spec and its flags say nothing."""

    worker: ProfileName = Field(description="Name of the worker profile, one of `workers`.")
    max_iterations: PositiveInt = Field(description="Rounds a worker gets, the first one included.")
    deadline_s: Seconds = Field(description="Seconds for the whole run.")
    parallel: PositiveInt = Field(description="Runs of one `submit` at the same time.")
    candidates: TierCandidates
    side_by_side: PositiveInt = Field(description="Most candidates of one run that are made at the same time.")
    next_best: Annotated[int, Field(ge=0, le=15)] = Field(
        description="Further accepted candidates of a round that models are asked about where they turn the best one "
        "down; 0: none."
    )
    max_tokens: PositiveInt | None = Field(
        description="Tokens of language models that a whole run may spend; null: no limit."
    )
    max_cost_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        description="US dollars that a whole run may spend; null: no limit."
    )
    stall_s: Seconds = Field(
        description="Seconds in which a worker shows nothing new before it is told of; a quarter later it is ended."
    )


class WorkerSettings(ModelWorkerSettings):
    """One worker's profile: what it is and may have."""

    kind: Literal["acp", "command", "llm", "repair"] = Field(
        description="`command`: any program; `acp`: an agent that speaks the Agent Client Protocol; `llm`: a model "
        "with our own tools; `repair`: built in, offline. A preset gives it."
    )
    preset: str | None = Field(
        default=None, description=f"A well-known agent, whose keys are filled in: {', '.join(PRESETS)}."
    )
    command: tuple[str, ...] = Field(
        default=(), description="The program and its arguments; for `command` and `acp` only."
    )
    prompt_by: PromptBy = Field(
        default=PromptBy.STDIN,
        description="How it gets its prompt: `stdin`, `file` (`{prompt_file}`) or `argument` (`{prompt}`).",
    )
    credentials: tuple[VariableName, ...] = Field(
        default=(), description="Names of environment variables that are handed on to it."
    )
    folders: tuple[str, ...] = Field(default=(), description="Host folders that it may read; `~` allowed.")
    model_hosts: tuple[HostPort, ...] = Field(
        default=(), description="`host:port` that it may reach; none: no network at all."
    )
    sign_in: str | None = Field(
        default=None, description="For `acp` only: the id of the way to be signed in, where the agent asks for that."
    )
    timeout_s: Seconds = Field(default=1800.0, description="Seconds for one iteration.")
    stall_s: Seconds | None = Field(default=None, description="Its own `run.stall_s`; null: that one.")
    model: str | None = Field(
        default=None, description="The model that it works with; judges of the same family are recused."
    )

    co_author: Author | None = Field(
        default=None, description="`Name <address>` that its commits name in a `Co-authored-by` trailer."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("preset") is None:
            return data
        preset = PRESETS.get(str(data["preset"]))
        if preset is None:
            raise ValueError(f"there is no preset {data['preset']!r}; there are {', '.join(PRESETS)}")
        if data.get("kind", preset.kind) != preset.kind:
            raise ValueError(f"the preset {data['preset']!r} is of kind `{preset.kind}`")
        return preset.settings() | data

    @model_validator(mode="after")
    def _has_a_command(self) -> WorkerSettings:
        if self.sign_in is not None and self.kind != "acp":
            raise ValueError("`sign_in` belongs to a worker of kind `acp`")
        if (self.kind in COMMANDED) != bool(self.command):
            raise ValueError("`command` belongs to a worker of kind `command` or `acp`, which cannot do without it")
        return self

    @model_validator(mode="after")
    def _has_a_model(self) -> WorkerSettings:
        given = self.model_fields_set
        if self.kind != "llm" and (foreign := sorted(given & ModelWorkerSettings.model_fields.keys())):
            raise ValueError(f"`{foreign[0]}` belongs to a worker of kind `llm`")
        if self.kind == "llm" and not (self.endpoint and self.model):
            raise ValueError("a worker of kind `llm` needs `endpoint` and `model`")
        if self.kind == "llm" and (useless := sorted(given & {"prompt_by", "credentials", "model_hosts"})):
            raise ValueError(f"`{useless[0]}` is nothing that a worker of kind `llm` can have")
        if self.max_cost_usd is not None and (self.price_input_usd is None or self.price_output_usd is None):
            raise ValueError("`max_cost_usd` needs `price_input_usd` and `price_output_usd`")
        return self

    def profile(self, name: str) -> WorkerProfile:
        """The same as the domain has it."""
        rest = {key: value for key, value in self if key not in {"preset", "co_author"}}
        use = {key: rest.pop(key) for key in ModelWorkerSettings.model_fields}
        endpoint = use.pop("endpoint")
        model_use = ModelUse(endpoint=endpoint, **use) if endpoint is not None else None
        return WorkerProfile(name=name, model_use=model_use, **rest)


class LogSettings(Block):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(description="The least level that is written.")
    format: Literal["auto", "json", "console"] = Field(
        description="`auto`: console on a terminal, JSON lines otherwise."
    )


class TierCounts(Block):
    """Most queued tasks at the same time, by risk tier and over all processes; null: no limit."""

    tier_1: PositiveInt | None = Field(description="Most of tier 1; in one repository it is always one at a time.")
    tier_2: PositiveInt | None = Field(description="Most of tier 2.")
    tier_3: PositiveInt | None = Field(description="Most of tier 3.")

    @property
    def by_tier(self) -> dict[int, int]:
        """The limits that there are."""
        counts = {1: self.tier_1, 2: self.tier_2, 3: self.tier_3}
        return {tier: most for tier, most in counts.items() if most is not None}


class EngineSettings(Block):
    """The durable engine, and the queue that worker processes take tasks from."""

    poll_s: Seconds = Field(description="Seconds between looks at the queue; 0.01 costs 27 % of an idle core.")
    lease_s: Annotated[float, Field(ge=2, le=3600, allow_inf_nan=False)] = Field(
        description="Seconds after which others take over what a process that gives no sign had begun."
    )
    drain_s: NonNegativeFloat = Field(
        allow_inf_nan=False, description="Seconds that a worker process told to stop lets its tasks go on."
    )
    keep_steps_s: Seconds | None = Field(
        description="Seconds after a task's end for which its finished steps are remembered; null: for ever."
    )
    per_repository: PositiveInt = Field(description="Most queued tasks of one repository at the same time.")
    per_tier: TierCounts


class Settings(BaseSettings):
    """Everything that can be configured, checked. Made by `load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix="V3_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        env_parse_none_str="null",
    )

    data_dir: Path = Field(
        description="Folder of the database, keys, environments and runs; null: the system's data folder."
    )
    coreml: bool = Field(description="Feature flag: inference by Core ML. Not in this release.")
    observability: Observability
    storage: Storage
    redis: Redis
    cache: CacheSettings
    prometheus: Prometheus
    statsd: Statsd
    traces: Traces
    breakers: Breakers
    serve: Serve
    health: HealthSettings
    sandbox: SandboxSettings
    evidence: EvidenceSettings
    council: CouncilSettings
    run: RunSettings
    workers: dict[ProfileName, WorkerSettings] = Field(description="Worker profiles by name.")
    notify: NotifySettings
    publish: PublishSettings
    log: LogSettings
    engine: EngineSettings

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the constructor is given: `layers.py` merges the sources, so that it knows who said what."""
        return (init_settings,)

    @field_validator("coreml", mode="before")
    @classmethod
    def _keep_truth_apart(cls, value: object, info: ValidationInfo) -> object:
        return checked_truth(cls, value, info)

    @field_validator("data_dir", mode="before")
    @classmethod
    def _locate(cls, value: Any) -> Any:
        if value is None:
            return default_data_dir()
        if not isinstance(value, str | Path) or not str(value).strip():
            raise ValueError("Input should be a folder's path")
        return Path(value).expanduser().absolute()

    @model_validator(mode="after")
    def _can_be_done(self) -> Settings:
        for key, backend in _NOT_IN_THIS_RELEASE.items():
            if self.value(key):
                raise InputError(
                    f"{key}: this release has no adapter for {backend}, so the flag cannot be switched on.",
                    hint=f"Leave {key} false.",
                    field=key,
                )
        self.profile(self.run.worker)
        return self

    def value(self, key: str) -> Any:
        """The value of a dotted key, such as `storage.database.pool_size`; a `KeyError` for an unknown one."""
        value: Any = self
        for part in key.split("."):
            value = value[part] if isinstance(value, dict) else dict(value)[part]
        return value

    def profile(self, name: str) -> WorkerProfile:
        """A worker's profile.

        Raises:
            InputError: no worker has that name.
        """
        worker = self.workers.get(name)
        if worker is None:
            known = ", ".join(sorted(self.workers))
            raise InputError(
                f"There is no worker {name!r}; configured are: {known}.",
                hint="Add it under `workers` in a file and pass that with --config.",
                field="run.worker",
            )
        return worker.profile(name)

    @property
    def origins(self) -> dict[str, str]:
        """Dotted key -> which layer its value came from."""
        return dict(self._origins)

    @property
    def database_dir(self) -> Path:
        """The embedded server's data folder."""
        return self.data_dir / "postgres"

    @property
    def keys_dir(self) -> Path:
        """Signing keys."""
        return self.data_dir / "keys"

    @property
    def checkpoints_dir(self) -> Path:
        """The newest signed checkpoint of the log."""
        return self.data_dir / "checkpoints"

    @property
    def breakers_dir(self) -> Path:
        """What processes publish about their breakers, and what is ordered of them."""
        return self.data_dir / "breakers"

    @property
    def environments_dir(self) -> Path:
        """Built dependency environments."""
        return self.data_dir / "environments"

    @property
    def runs_dir(self) -> Path:
        """One folder per run: its object store, workspace and scratch."""
        return self.data_dir / "runs"
