"""Backup files: whole or not at all when written, and nothing trusted when read."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import stat
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from councilor.adapters.archive import ArchiveReader, ArchiveWriter, Placing, collect_files, put_back
from councilor.domain.backup import (
    BackupManifest,
    Member,
    TableRows,
    is_member_name,
    newest_checkpoint,
    read_manifest,
    sums_text,
)
from councilor.errors import CouncilorError, HashMismatchError, InputError

FILES = {"checkpoints/log-7": b"councilor/log\n7\nroot\n", "database.dump": b"dump" * 1000, "keys/ab.pem": b"public"}


def manifest_of(files: Mapping[str, bytes]) -> BackupManifest:
    return BackupManifest(
        councilor_version="0.1.0",
        server_version=180004,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        database_bytes=1,
        tables=(TableRows(schema="public", name="event", rows=5),),
        migrations=(),
        newest_checkpoint=None,
        with_private_key=False,
        members=tuple(Member(name=n, size_bytes=len(d), sha256=sha256(d).hexdigest()) for n, d in files.items()),
    )


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    write(path)
    return path


def write(path: Path, *, replace: bool = False) -> None:
    with ArchiveWriter(path, replace=replace) as writer:
        for name, data in FILES.items():
            writer.add(name, data)
        assert writer.finish(manifest_of(FILES)) == writer._file.tell()


def read(path: Path) -> dict[str, bytes]:
    with ArchiveReader(path) as archive:
        return {member.name: archive.read(member.name) for member in archive.manifest.members}


def test_what_was_written_comes_back(backup: Path) -> None:
    assert read(backup) == FILES
    with ArchiveReader(backup) as archive:
        assert archive.manifest == manifest_of(FILES)
        assert [member.name for member in archive.members_below("keys")] == ["keys/ab.pem"]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_any_tar_reads_it_and_sha256sum_checks_it(backup: Path) -> None:
    with tarfile.open(backup) as archive:
        held = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    sums = dict(reversed(line.split("  ")) for line in held.pop("SHA256SUMS").decode().splitlines())
    assert {name: sha256(data).hexdigest() for name, data in held.items()} == sums
    assert set(held) == {*FILES, "manifest.json"}


@pytest.mark.parametrize("nameless", [True, False])
def test_nothing_is_left_of_a_failure(nameless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "backup.tar"
    with pytest.raises(RuntimeError), ArchiveWriter(path, replace=False) as writer:
        writer.add("database.dump", b"dump")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    write(path)
    assert list(tmp_path.iterdir()) == [path]
    assert read(path) == FILES
    before = path.read_bytes()
    with pytest.raises(RuntimeError), ArchiveWriter(path, replace=True) as writer:
        writer.add("database.dump", b"other")
        raise RuntimeError
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([path], before)
    write(path, replace=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*places: object, **options: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.delattr(os, "O_TMPFILE")  # FAT has neither
    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "backup.tar"
    write(path)
    assert read(path) == FILES and list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="exists"):
        write(path)
    write(path, replace=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_stays(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists") as caught:
        write(backup)
    assert "--force" in caught.value.hint()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists"):
        write(link)
    late = tmp_path / "late.tar"
    with pytest.raises(InputError, match="exists"), ArchiveWriter(late, replace=False) as writer:
        writer.add("database.dump", b"dump")
        late.write_bytes(b"somebody else's")
        writer.finish(manifest_of({"database.dump": b"dump"}))
    assert late.read_bytes() == b"somebody else's"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_or_a_device_is_no_backup(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, force in ((tmp_path, False), (tmp_path, True), (tmp_path / "fifo", True), (tmp_path / "no/file", False)):
        with pytest.raises(InputError), ArchiveWriter(path, replace=force):
            pass
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "missing", Path("/dev/null"), tmp_path / "missing/file"):
        with pytest.raises(InputError):
            ArchiveReader(path)


def test_every_cut_is_noticed(backup: Path, tmp_path: Path) -> None:
    whole, cut = backup.read_bytes(), tmp_path / "cut.tar"
    for length in [*range(0, len(whole), 256), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(CouncilorError):
            read(cut)


def test_no_flipped_bit_changes_what_is_read(backup: Path, tmp_path: Path) -> None:
    """Refused, or of no effect: some bits of a tar header say nothing."""
    whole, flipped, chance = backup.read_bytes(), tmp_path / "flipped.tar", random.Random(7)
    refused = 0
    for _ in range(1000):
        place = chance.randrange(len(whole))
        flipped.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
        try:
            with ArchiveReader(flipped) as archive:
                assert archive.manifest == manifest_of(FILES)
            assert read(flipped) == FILES
        except CouncilorError:
            refused += 1
    assert refused > 970


def test_an_altered_member_is_named_when_it_is_read(backup: Path) -> None:
    backup.write_bytes(backup.read_bytes().replace(b"dumpdump", b"dumpDump", 1))
    with ArchiveReader(backup) as archive, pytest.raises(HashMismatchError, match=r"database\.dump"):
        archive.read("database.dump")


# --- hostile files ---------------------------------------------------------------------------------------------------


def entry(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def tar_with(*entries: tarfile.TarInfo | bytes, format_: int = tarfile.GNU_FORMAT, mode: str = "w") -> bytes:
    """The tar of a good backup, and these entries (or raw blocks) before its own."""
    files = FILES | {"manifest.json": manifest_of(FILES).dump()}
    own = Member(name="manifest.json", size_bytes=0, sha256=sha256(files["manifest.json"]).hexdigest())
    files["SHA256SUMS"] = sums_text([*manifest_of(FILES).members, own])
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode, format=format_) as archive:  # type: ignore[call-overload]
        for hostile in entries:
            if isinstance(hostile, bytes):
                target.write(hostile)
                archive.offset += len(hostile)
            else:
                archive.addfile(hostile, io.BytesIO(bytes(hostile.size)) if hostile.isreg() else None)
        for name, data in files.items():
            archive.addfile(entry(name, size=len(data)), io.BytesIO(data))
    return target.getvalue()


def claiming(name: str, size: int) -> bytes:
    """A header that claims a size, without the bytes."""
    return entry(name, size=size).tobuf(tarfile.GNU_FORMAT)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "absolute": lambda: tar_with(entry("/etc/passwd")),
    "absolute below keys": lambda: tar_with(entry("keys//etc/passwd")),
    "up": lambda: tar_with(entry("../evil")),
    "up below keys": lambda: tar_with(entry("keys/../../evil")),
    "hidden": lambda: tar_with(entry("keys/.bashrc")),
    "dot": lambda: tar_with(entry("./keys/x.pem")),
    "newline": lambda: tar_with(entry("keys/a\nb")),
    "NUL": lambda: tar_with(entry("keys/a\0b")),
    "not ascii": lambda: tar_with(entry("keys/schl\u00fcssel")),
    "backslash": lambda: tar_with(entry("keys/..\\evil")),
    "elsewhere": lambda: tar_with(entry("runs/x")),
    "symlink": lambda: tar_with(entry("keys/x.pem", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "hard link": lambda: tar_with(entry("keys/x.pem", type=tarfile.LNKTYPE, linkname="database.dump")),
    "device": lambda: tar_with(entry("keys/x.pem", type=tarfile.CHRTYPE, devmajor=1, devminor=5)),
    "fifo": lambda: tar_with(entry("keys/x.pem", type=tarfile.FIFOTYPE)),
    "folder": lambda: tar_with(entry("keys/x", type=tarfile.DIRTYPE)),
    "sparse": lambda: tar_with(entry("keys/x.pem", type=tarfile.GNUTYPE_SPARSE)),
    "pax header": lambda: tar_with(
        entry("keys/x.pem", pax_headers={"size": "99999999999"}), format_=tarfile.PAX_FORMAT
    ),
    "long name": lambda: tar_with(entry("keys/" + "x" * 200)),
    "twice": lambda: tar_with(entry("keys/ab.pem", size=6)),
    "not listed": lambda: tar_with(entry("keys/more.pem", size=6)),
    "a dump twice": lambda: tar_with(entry("database.dump", size=4000)),
    "huge": lambda: tar_with(claiming("database.dump", 2**62)),
    "huge key": lambda: tar_with(claiming("keys/x.pem", 2**40)),
    "negative": lambda: tar_with(claiming("keys/x.pem", 0)[:124] + b"\xff" * 12 + claiming("keys/x.pem", 0)[136:]),
    "compressed": lambda: tar_with(mode="w:gz"),
    "no tar": lambda: b"PGDMP" + bytes(20_000),
    "zeros": lambda: bytes(20_480),
    "empty": lambda: b"",
    "followed by something": lambda: tar_with() + b"more",
    "followed by another": lambda: tar_with() + tar_with(),
    "no manifest": lambda: tar_with()[:-20_480] + bytes(20_480),
}


def test_the_hostile_files_differ_from_a_good_one_in_one_thing(tmp_path: Path) -> None:
    (tmp_path / "good.tar").write_bytes(tar_with())
    assert read(tmp_path / "good.tar") == FILES


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_before_anything_is_used(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "hostile.tar"
    path.write_bytes(make())
    with pytest.raises(InputError):
        ArchiveReader(path)


# --- manifest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"format": "zip"},
        {"format_version": 2},
        {"format_version": "1"},
        {"members": []},
        {"members": [{"name": "../x", "size_bytes": 1, "sha256": "0" * 64}]},
        {"members": [{"name": "database.dump", "size_bytes": -1, "sha256": "0" * 64}]},
        {"members": [{"name": "database.dump", "size_bytes": 1, "sha256": "x"}]},
        {"tables": "all"},
        {"created_at": "yesterday"},
        {"server_version": None},
    ],
    ids=str,
)
def test_a_manifest_that_says_nonsense_is_refused(change: dict[str, object]) -> None:
    data = json.loads(manifest_of(FILES).dump())
    assert read_manifest(json.dumps(data).encode()) == manifest_of(FILES)
    with pytest.raises(InputError):
        read_manifest(json.dumps(data | change).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff", b'"councilor-backup"'], ids=len)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_manifest(data)


def test_a_manifest_must_list_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    wrong = {"database.dump": b"another"}
    with ArchiveWriter(path, replace=False) as writer:
        writer.add("database.dump", b"dump")
        writer.finish(manifest_of(wrong))
    with pytest.raises(CouncilorError):
        ArchiveReader(path)


def test_names_that_a_backup_may_hold() -> None:
    for name in ("database.dump", "keys/a.pem", "keys/old/b.pem", "checkpoints/log-0001", "checkpoints/a@b+c=d,e"):
        assert is_member_name(name), name
    for name in ("", "keys", "keys/", "keys/a/", "database.dump/x", "keys/a\n", f"keys/{'x' * 96}", "KEYS/a"):
        assert not is_member_name(name), name


def test_the_newest_checkpoint_covers_most() -> None:
    files = [(f"checkpoints/{n}", f"origin\n{n}\nroot\n\nsig".encode()) for n in (9, 100, 20)]
    files += [("checkpoints/x", b"origin\n-1\nroot\n"), ("checkpoints/y", b"\xff"), ("checkpoints/z", b"o\n9999\n")]
    newest = newest_checkpoint(files)
    assert newest is not None and (newest.file, newest.size) == ("checkpoints/100", 100)
    assert newest_checkpoint([]) is None


def test_the_manifest_tells_of_a_private_key_and_a_checkpoint() -> None:
    checkpoint = newest_checkpoint([("checkpoints/1", b"origin\n1\nroot\n\nsig")])
    told = replace(manifest_of(FILES), with_private_key=True, newest_checkpoint=checkpoint)
    assert read_manifest(told.dump()) == told


# --- keys and checkpoints --------------------------------------------------------------------------------------------


def test_only_plain_files_are_collected(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    (folder / "old").mkdir(parents=True)
    (folder / "b.pem").write_bytes(b"b")
    (folder / "old/a.pem").write_bytes(b"a")
    (folder / "link.pem").symlink_to("/etc/passwd")
    os.mkfifo(folder / "fifo")
    assert list(collect_files(folder, "keys")) == [("keys/b.pem", b"b"), ("keys/old/a.pem", b"a")]
    assert list(collect_files(tmp_path / "missing", "keys")) == []
    (folder / "a name").write_bytes(b"")
    with pytest.raises(InputError, match="a name"):
        list(collect_files(folder, "keys"))


def test_a_file_is_put_back_only_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "keys/old/a.pem"
    assert put_back(path, b"one") is Placing.PUT_BACK
    assert put_back(path, b"one") is Placing.SAME
    assert put_back(path, b"two") is Placing.KEPT
    assert path.read_bytes() == b"one"
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert put_back(tmp_path / "link", b"x") is Placing.KEPT
    assert not (tmp_path / "target").exists()
    secret = tmp_path / "keys/signing-key.pem"
    put_back(secret, b"-----BEGIN PRIVATE KEY-----")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert sorted(item.name for item in path.parent.iterdir()) == ["a.pem"]
