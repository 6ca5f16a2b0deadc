"""Backup files: one tar with the database's dump, keys, checkpoints and a manifest (domain/backup.py)."""

from __future__ import annotations

from councilor.adapters.archive.files import Placing, collect_files, put_back
from councilor.adapters.archive.reader import ArchiveReader
from councilor.adapters.archive.writer import ArchiveWriter

__all__ = ["ArchiveReader", "ArchiveWriter", "Placing", "collect_files", "put_back"]
