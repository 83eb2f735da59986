"""Other people's converters, kept quiet, with what goes wrong told in one line."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

from edge_ser.errors import DependencyError, EdgeSerError, ModelError

__all__ = ["computing", "converting", "first_line"]


@contextlib.contextmanager
def converting(name: str, to: str, extra: str, advice: str) -> Iterator[None]:
    """Let a converter work: it prints, warns and logs of its own internals, and none of it is seen.

    Args:
        name: of the model, for messages.
        to: what it is turned into.
        extra: of this package, that brings the converter.
        advice: what to do where it refuses.

    Raises:
        DependencyError: the converter is not installed.
        ModelError: it refuses the model.
    """
    disabled = logging.root.manager.disable
    silent = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            logging.disable(logging.CRITICAL)
            yield
    except ImportError as error:
        raise DependencyError(
            f"turning {name} into {to} needs another package ({error}); "
            f"pip install 'edge-ser[{extra}]'"
        ) from error
    except EdgeSerError:
        raise
    except Exception as error:
        # Converters raise classes of their own, which differ between versions.
        raise ModelError(
            f"{name} cannot be turned into {to} ({first_line(error)}); {advice}"
        ) from error
    finally:
        logging.disable(disabled)


@contextlib.contextmanager
def computing(name: str) -> Iterator[None]:
    """Let a framework run somebody's model.

    Raises:
        ModelError: it fails.
    """
    try:
        yield
    except EdgeSerError:
        raise
    except Exception as error:
        # Whatever a layer raises.
        raise ModelError(
            f"{name} fails on these features ({first_line(error)}); give the frontend and the clip "
            "length that it was trained on"
        ) from error


def first_line(error: BaseException) -> str:
    """What a framework said, for the middle of a one-line message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines[0] if lines else type(error).__name__)[:200]
    return "".join(character for character in text if character.isprintable())
