"""What `inspect` says of a frontend, in a line."""

from __future__ import annotations

import pytest

from edge_ser.cli.inspect import _frontend
from edge_ser.frontend import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_every_frontend_has_its_line(name: str) -> None:
    spec = PRESETS[name]
    line = _frontend(spec, 100_000)
    assert line.startswith(spec.kind) and "\n" not in line
    assert f"hop {spec.hop_length}" in line or spec.kind == "waveform"


def test_functionals_tell_what_they_are_statistics_of() -> None:
    assert _frontend(PRESETS["functionals"], 128_000) == (
        "functionals: 1,437 statistics over the clip of 64 mel bands (htk) of 50 to 7900 Hz, "
        "26 cepstra, level and pitch of 75 to 500 Hz, hann window of 640 in an FFT of 1024, hop 256"
    )
