"""Configuration, typed; the only reader of YAML configuration, environment and flags.

`schema.py` says what there is, `layers.py` who says what.
"""

from __future__ import annotations

from councilor.settings.layers import (
    EffectiveValue,
    default_file,
    explain,
    load_settings,
    setting_fields,
    variable_name,
)
from councilor.settings.schema import Settings, default_data_dir
from councilor.settings.secret import read_secret

__all__ = [
    "EffectiveValue",
    "Settings",
    "default_data_dir",
    "default_file",
    "explain",
    "load_settings",
    "read_secret",
    "setting_fields",
    "variable_name",
]
