"""Typed errors and the table of exit codes.

Every message says what was given, what was expected and what to do, in one line. A library caller
catches `EdgeSerError` or one of its kinds; the command line turns `exit_code` into the process's
exit status.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "AudioError",
    "CardError",
    "ConfigError",
    "DataError",
    "DependencyError",
    "EdgeSerError",
    "ExitCode",
    "ModelDamagedError",
    "ModelError",
    "ModelNotFoundError",
    "ProviderError",
    "StorageError",
    "UsageError",
]


class ExitCode(IntEnum):
    """Exit status of every `edge-ser` command."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    MODEL = 3
    PROVIDER = 4
    AUDIO = 5
    STORAGE = 6
    DATA = 7
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


class EdgeSerError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code: ExitCode = ExitCode.INTERNAL


class UsageError(EdgeSerError):
    """A wrong argument, option or combination of them."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A configuration value that is unknown, of another type or out of range."""


class ModelError(EdgeSerError):
    """A model file that cannot be used."""

    exit_code = ExitCode.MODEL


class ModelNotFoundError(ModelError):
    """No file, installed name or alias answers to what was asked for."""


class ModelDamagedError(ModelError):
    """A model file whose bytes are not those that were exported."""


class CardError(ModelError):
    """A model card that is missing, malformed, or of a schema this version cannot read."""


class ProviderError(EdgeSerError):
    """A runtime or compute provider that is not there or did not take the model."""

    exit_code = ExitCode.PROVIDER


class DependencyError(ProviderError):
    """An optional package that this call needs and that is not installed."""


class AudioError(EdgeSerError):
    """Audio that cannot be decoded or used."""

    exit_code = ExitCode.AUDIO


class StorageError(EdgeSerError):
    """A file or sink that cannot be written."""

    exit_code = ExitCode.STORAGE


class DataError(EdgeSerError):
    """A corpus, manifest or training set that does not hold together."""

    exit_code = ExitCode.DATA
