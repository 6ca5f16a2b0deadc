"""Spec files that `submit` is given: found, read and checked, every fault of every file named.

Rules:
- A folder stands for the `*.yaml` and `*.yml` in its `.caws/specs`, or else in itself; in the order of their names,
  hidden ones and folders below left out. Closed and archived specs of a folder are left out, too.
- A folder may come from a hostile repository: a link that leads out of it, and what is no regular file, is refused.
- Nothing is read beyond the largest size of a spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from councilor.domain.document import SIZE_LIMIT_BYTES
from councilor.domain.spec import LifecycleState, WorkingSpec, check_spec, load_spec
from councilor.errors import CouncilorError, InputError

__all__ = ["Fault", "SpecFile", "find_spec_files", "read_spec_file"]

SUFFIXES = {".yaml", ".yml"}
OVER = {LifecycleState.CLOSED, LifecycleState.ARCHIVED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing wrong with one file."""

    file: str
    message: str
    """Begins with the field's name where there is one."""
    hint: str
    rule: str | None = None
    line: int | None = None

    @classmethod
    def of(cls, file: Path, error: CouncilorError) -> Fault:
        """An error as a file's fault."""
        rule = error.rule if isinstance(error, InputError) else None
        return cls(file=str(file), message=error.message, hint=error.hint(), rule=rule)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecFile:
    """One spec, checked."""

    path: Path
    text: str
    spec: WorkingSpec

    @property
    def is_over(self) -> bool:
        """Whether no work is done on it any more."""
        return self.spec.lifecycle_state in OVER


def find_spec_files(path: Path) -> Sequence[Path]:
    """The spec files that a path stands for: itself, or those of the folder.

    Raises:
        InputError: there is nothing, or no spec in it.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"There is no file or folder {path}.", field="DIR|FILE", hint="Pass its path from here.")
        return [path]
    inner = path / ".caws" / "specs"
    folder = inner if inner.is_dir() and not inner.is_symlink() else path
    try:
        found = sorted(_specs_in(folder))
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}", field="DIR|FILE") from error
    if not found:
        raise InputError(
            f"There is no spec in {path}.",
            field="DIR|FILE",
            hint="Specs are *.yaml in .caws/specs, or in the folder itself. `councilor spec init --write` makes one.",
        )
    return found


def _specs_in(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix in SUFFIXES and not path.name.startswith(".") and not path.is_dir():
            yield path


def read_spec_file(path: Path, *, within: Path | None) -> SpecFile | Sequence[Fault]:
    """A spec, or everything that is wrong with it.

    Args:
        within: the folder that it was found in and must not lead out of.
    """
    try:
        if within is not None and not path.resolve().is_relative_to(within.resolve()):
            raise InputError("It is a link that leads out of its folder.", hint="Name the file itself.")
        if not path.is_file():
            raise InputError("It is no regular file.", hint="Remove it, or name the specs one by one.")
        with path.open("rb") as stream:
            data = stream.read(SIZE_LIMIT_BYTES + 1)
        text = data.decode("utf-8")
    except InputError as error:
        return [Fault.of(path, error)]
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return [Fault(file=str(path), message=f"It cannot be read: {told}.", hint="Correct the file.")]
    violations = check_spec(text, source=str(path))
    if violations:
        return [
            Fault(file=str(path), message=item.message, hint=item.remediation, rule=item.rule, line=item.line)
            for item in violations
        ]
    return SpecFile(path=path, text=text, spec=load_spec(text, source=str(path)))
