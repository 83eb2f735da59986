"""Values of options from text: of environment variables and of the command line."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from edge_ser.documents import from_toml, is_table, parted

__all__ = ["from_text"]

WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def from_text(text: str, kind: Any) -> object:
    """Read a value of an environment variable or of the command line.

    kind: the field's type as `typing.get_type_hints` gives it: bool, int, float, str, a Literal of
        str, a tuple of these, any of them or None, or a mapping of str to float; written `a,b` and
        `anger=0.6,fear=0.5`.
        Nothing (an empty text) is None where the field may be None.

    Raises:
        ValueError: it is of another type; `expected(kind)` says what was wanted.
    """
    plain, _ = parted(kind)
    if not text:
        return {} if is_table(kind) else from_toml(text, kind)
    if is_table(kind):
        pairs = [part.rpartition("=") for part in text.split(",")]
        return from_toml({label.strip(): float(score) for label, _, score in pairs}, kind)
    if get_origin(plain) is tuple:
        inner = get_args(plain)[0]
        return from_toml([from_text(part.strip(), inner) for part in text.split(",")], kind)
    if plain is bool:
        return from_toml(WORDS.get(text.strip().lower(), text), kind)
    return from_toml(plain(text) if plain in (int, float) else text, kind)
