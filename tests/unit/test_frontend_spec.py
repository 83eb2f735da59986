from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_ser.frontend
from edge_ser.errors import CardError
from edge_ser.frontend import PRESETS, FrontendSpec
from edge_ser.frontend.spec import MAX_TABLE, MAX_VALUES

NAMES = [field.name for field in fields(FrontendSpec)]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["mfcc", "log_mel", "waveform", "hann", "slaney", "htk", "none", "db"])
    | st.sampled_from([0, 1, 512, 2**16, 2**31, 10**18, 10**400, -(10**4_000), 1e308, 5e-324])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def test_the_spec_needs_the_standard_library_alone() -> None:
    program = (
        "import sys; from edge_ser.frontend import PRESETS, FrontendSpec;"
        "FrontendSpec.from_dict(FrontendSpec().to_dict()).digest();"
        "sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_frontend_is_loaded_on_first_use() -> None:
    assert edge_ser.frontend.Frontend.__module__ == "edge_ser.frontend.features"
    with pytest.raises(AttributeError, match="no attribute 'Backend'"):
        _ = edge_ser.frontend.Backend  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    spec = PRESETS[name]
    again = FrontendSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.digest() == spec.digest()


def test_every_field_is_in_the_digest() -> None:
    digests = {FrontendSpec().digest(), replace(FrontendSpec(), fmin=20.0).digest()}
    assert len(digests) == 2
    assert list(FrontendSpec().to_dict()) == NAMES


def test_whole_numbers_are_the_same_as_floats() -> None:
    loose = FrontendSpec.from_dict({**FrontendSpec().to_dict(), "top_db": 80, "fmin": 0})
    assert loose.digest() == FrontendSpec().digest()


def test_unknown_keys_are_ignored() -> None:
    assert FrontendSpec.from_dict({"kind": "mfcc", "colour": "blue"}) == FrontendSpec()


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), values, max_size=5) | values)
@settings(max_examples=300)
def test_any_json_gives_a_spec_or_a_card_error(document: Any) -> None:
    if isinstance(document, dict):
        document.setdefault("kind", "mfcc")
    try:
        spec = FrontendSpec.from_dict(document)
        shape = spec.shape(100_000)
    except CardError as error:
        message = str(error)
        assert message.startswith("frontend: ")
        assert "\n" not in message
        assert len(message) < 300
        return
    assert 0 <= shape[0] * shape[-1] <= max(MAX_VALUES, shape[0])
    assert (spec.n_fft // 2 + 1) * spec.n_mels <= MAX_TABLE
    json.dumps(spec.to_dict(), allow_nan=False)


@given(st.sampled_from(NAMES), values)
@settings(max_examples=300)
def test_any_value_of_any_field_gives_a_spec_or_a_card_error(name: str, value: Any) -> None:
    try:
        spec = FrontendSpec.from_dict({**FrontendSpec().to_dict(), name: value})
    except CardError:
        return
    assert getattr(spec, name) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "plp"}, "kind is 'plp', expected one of mfcc, log_mel, pitch, functionals"),
        ({"kind": ["mfcc"]}, "kind is .'mfcc'., expected one of"),
        ({"centre": 1}, "centre is 1, expected true or false"),
        ({"rate": 22_050.0}, "rate is 22050.0, expected a whole number"),
        ({"rate": True}, "rate is True, expected a whole number"),
        ({"rate": 0}, "rate is 0, expected 1 to 1000000"),
        ({"fmin": float("nan")}, "fmin is nan, expected a finite number"),
        ({"fmin": "0"}, "fmin is '0', expected a finite number"),
        ({"fmin": None}, "fmin is None, expected a finite number"),
        ({"top_db": 10**400}, "top_db is a number of 1329 bits, expected a finite number"),
        ({"lifter": 10**9_999}, "lifter is a number of 33216 bits, expected a whole number"),
        ({"top_db": 0}, "top_db is 0.0, expected above 0"),
        ({"n_fft": 1 << 17}, "n_fft is 131072, expected 1 to 65536"),
        ({"n_fft": 1024}, "win_length is 2048, expected 1 to 1024"),
        ({"hop_length": 0}, "hop_length is 0, expected 1 to"),
        ({"n_mels": 2_000}, "n_mels is 2000, expected 1 to 1024"),
        ({"n_mfcc": 129}, "n_mfcc is 129, expected 1 to 128"),
        ({"n_mels": 1_024, "n_fft": 1 << 14}, "needs filters of more than 2097152 weights"),
        (
            {"fmax": 12_000.0},
            "bands from fmin 0 to fmax 12000 Hz, expected .* up to 11025 Hz, half of rate .*preset",
        ),
        ({"fmin": 11_025.0}, "bands from fmin 11025 to fmax 11025 Hz"),
        ({"bands_rate": 16_000}, "fmax 11025 Hz, expected .* up to 8000 Hz, half of bands_rate"),
        ({"log_floor": 0.0}, "log_floor is 0.0, expected 1e-36"),
        ({"sample_scale": 0.0}, "sample_scale is 0.0, expected 1e-09"),
        ({"power_scale": -1.0}, "power_scale is -1.0"),
        ({"preemphasis": 1.5}, "preemphasis is 1.5, expected 0 to 1"),
        ({"lifter": -1}, "lifter is -1, expected 0 to"),
        ({"lifter_first": -1}, "lifter_first is -1, expected 0 to"),
        ({"octave_cost": 2.0}, "octave_cost is 2.0, expected 0 to 1"),
        ({"kind": "pitch", "pitch_floor": 600.0}, "pitch from 600.0 to 500.0 Hz in a band up to"),
        ({"kind": "pitch", "fmax": 400.0}, "pitch from 75.0 to 500.0 Hz in a band up to 400.0"),
        ({"kind": "pitch"}, "expected a window of two periods .588. and an FFT of one period more"),
    ],
)
def test_what_a_card_may_not_say(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        FrontendSpec.from_dict({**FrontendSpec().to_dict(), **changes})


@pytest.mark.parametrize("document", [{}, [], None, "mfcc"])
def test_what_is_no_spec_at_all(document: Any) -> None:
    with pytest.raises(CardError, match="frontend: "):
        FrontendSpec.from_dict(document)


def test_no_card_makes_us_fill_the_memory() -> None:
    spec = replace(FrontendSpec(), hop_length=1)
    assert spec.shape(50_000) == (50_001, 39)
    with pytest.raises(
        CardError, match="100000 samples with hop_length 1 and n_mels 128 give more"
    ):
        spec.shape(100_000)
    with pytest.raises(CardError, match="more than 8388608 values"):
        PRESETS["waveform"].shape(MAX_VALUES + 1)


@given(
    samples=st.integers(0, 5_000),
    n_fft=st.integers(1, 600),
    window=st.integers(1, 600),
    hop=st.integers(1, 900),
    centre=st.booleans(),
    align=st.sampled_from(("centre", "start")),
    tail=st.sampled_from(("drop", "pad")),
)
def test_frames_are_counted_as_they_are_cut(
    samples: int, n_fft: int, window: int, hop: int, centre: bool, align: Any, tail: Any
) -> None:
    window = min(window, n_fft)
    spec = FrontendSpec(
        n_fft=n_fft, win_length=window, hop_length=hop, centre=centre, window_align=align, tail=tail
    )
    length = n_fft if align == "centre" else window
    total = samples + 2 * (n_fft // 2) * centre
    starts = range(0, total, hop)
    whole = sum(start + length <= total for start in starts)
    frames = spec.frames(samples)
    if tail == "drop":
        assert frames == whole
    else:
        assert (frames - 1) * hop + length >= total  # every sample is in reach of a frame
        assert frames == 1 or (frames - 2) * hop + length < total  # and no frame is superfluous


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, (196, 39)),
        ({"kind": "log_mel"}, (196, 128)),
        ({"layout": "time_last"}, (39, 196)),
        ({"kind": "waveform"}, (100_000,)),
    ],
)
def test_shapes(changes: dict[str, Any], shape: tuple[int, ...]) -> None:
    assert replace(FrontendSpec(), **changes).shape(100_000) == shape


def test_no_card_makes_us_compute_for_hours() -> None:
    slow = FrontendSpec(kind="log_mel", n_fft=65_536, win_length=65_536, hop_length=1, n_mels=1)
    with pytest.raises(CardError, match="transform more than"):
        slow.shape(1 << 22)
    fine = FrontendSpec(kind="log_mel", n_fft=2048, win_length=2048, hop_length=128, n_mels=8)
    assert fine.shape(1 << 24) == (131_073, 8)
