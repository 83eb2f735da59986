"""`edge_ser.listen`: names become a source, a clock and a listener."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import edge_ser
from edge_ser.errors import ConfigError, UsageError
from edge_ser.listening import SourceOptions, StreamClock, SystemClock, make_clock, make_source
from edge_ser.listening.files import FileSource
from edge_ser.listening.microphone import Microphone
from edge_ser.listening.pcm import PcmSource
from edge_ser.testing import write_tiny_model


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    loud = np.repeat([0, 1, 0, 1, 0], 16_000)
    path = tmp_path / "two.wav"
    soundfile.write(path, rng.standard_normal(len(loud)) * (1e-4 + 0.1 * loud), 16_000)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.onnx", {"calm": 0.9, "angry": 0.1}).path


def test_a_file_is_listened_to_like_a_microphone(model: Path, recording: Path) -> None:
    source = SourceOptions(input=str(recording), pace="fast")
    events = list(edge_ser.listen(model, source=source))
    assert [event.label for event in events] == ["calm", "calm"]
    assert isinstance(events[0], edge_ser.Event)


def test_a_loaded_model_and_a_source_of_ones_own(model: Path, recording: Path) -> None:
    clock = StreamClock()
    source = FileSource(str(recording), clock, "fast")
    listener = edge_ser.listen(edge_ser.load_model(model), source=source)
    assert listener.source is source
    assert len(list(listener)) == 2


def test_two_sources_are_one_too_many(model: Path) -> None:
    with pytest.raises(UsageError, match="'USB' and another source"):
        edge_ser.listen(model, mic="USB", source=SourceOptions(input="a.wav"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mic": 1}, r"mic is 1, expected a name, as 'edge-ser mics' lists them"),
        ({"source": "a.wav"}, r"source is 'a.wav', .*source=SourceOptions\(input='a.wav'\)"),
        ({"source": 3}, r"of type int, expected SourceOptions or a Source, .*lacks name, live"),
        ({"model": 3}, r"model is 3, expected a name, a path or a Classifier"),
    ],
)
def test_what_is_of_a_wrong_type_is_refused_in_a_line(
    model: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        edge_ser.listen(**{"model": model, **given})


def test_a_source_that_lacks_something_is_told_what(model: Path) -> None:
    class Half:
        name, live = "half", True

        def open(self) -> None: ...

    with pytest.raises(UsageError, match=r"of type Half, .*: it lacks paced, read, close"):
        edge_ser.listen(model, source=Half())  # type: ignore[arg-type]


def test_options_may_be_a_dict_over_those_of_the_card(model: Path) -> None:
    listener = edge_ser.listen(model, gate={"enter_db": 12})
    assert listener._intake.front.pipeline.gate.enter_db == 12


def test_without_anything_the_default_microphone_is_listened_to(model: Path) -> None:
    listener = edge_ser.listen(model)
    assert isinstance(listener.source, Microphone)
    assert listener.status().state == "starting"


def test_each_kind_of_input_has_its_source_and_clock(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    kinds = {None: Microphone, "-": PcmSource, str(fifo): PcmSource, "a.wav": FileSource}
    for name, kind in kinds.items():
        options = SourceOptions(input=name, rate=16_000)
        assert isinstance(make_source(options, make_clock(options)), kind)
        assert isinstance(make_clock(options), SystemClock)
    assert isinstance(make_clock(SourceOptions(input="a.wav", pace="fast")), StreamClock)


def test_a_channel_of_a_file_is_refused_and_not_ignored() -> None:
    options = SourceOptions(input="a.wav", channel=2)
    with pytest.raises(ConfigError, match=r"channel is 2 with the file a\.wav"):
        make_source(options, make_clock(options))
