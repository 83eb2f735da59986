"""Configuration: the options of all rooms from one file, the environment and the command line.

    config = load_config("edge-ser.toml", os.environ, {"source.mic": "USB"})
    gate, segment, decide = config.for_card(card)

The rooms own their options, as frozen dataclasses; here they are only gathered. A value that is
given on the command line wins over the environment, that over the file, that over what the model's
card recommends, and that over the default. Nothing here needs more than the standard library until
a configuration is loaded.
"""

from __future__ import annotations

from edge_ser.config.flags import FLAGS, overrides_from_flags
from edge_ser.config.gathering import Config, load_config
from edge_ser.config.options import ModelOptions, ReportOptions
from edge_ser.config.rendering import as_toml
from edge_ser.config.sections import SECTIONS, Key
from edge_ser.config.sources import Setting
from edge_ser.documents import MAX_BYTES

__all__ = [
    "FLAGS",
    "MAX_BYTES",
    "SECTIONS",
    "Config",
    "Key",
    "ModelOptions",
    "ReportOptions",
    "Setting",
    "as_toml",
    "load_config",
    "overrides_from_flags",
]
