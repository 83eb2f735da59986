"""Listening to a stream finds what computing on the whole of it finds, exactly."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from edge_ser.benchmarks.offline import converted, cuts, offline_decisions
from edge_ser.benchmarks.streams import StreamOptions, Truth, chunks, load_noise, spoken, whole

from edge_ser import load_model
from edge_ser.classifier import Classifier
from edge_ser.corpora import read_emodb
from edge_ser.corpora.utterances import audio_files
from edge_ser.events import Decision, Event
from edge_ser.listening import Listener, Listening, SourceOptions, StreamClock, make_source
from edge_ser.listening.pipeline import Pipeline
from edge_ser.segment import (
    GateOptions,
    SegmentOptions,
    frame_levels,
    frame_samples,
    speech_segments,
    split_pieces,
)

RATE = 16_000
CLIPS = 13
"""Some 60 s with their pauses, and one long enough to be split where no noise hides its pauses."""


@pytest.fixture(scope="module")
def model() -> Classifier:
    return load_model("plb-emodb")


@pytest.fixture(scope="module", params=[None, 10.0], ids=["silence", "noise"])
def recording(
    request: pytest.FixtureRequest,
    corpus: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[Truth]]:
    """A minute of speech, as a file of floats that says exactly what was made."""
    rng = np.random.default_rng(17)
    utterances = read_emodb(corpus("emodb"))
    picked = [utterances[i] for i in rng.choice(len(utterances), CLIPS, replace=False)]
    clips = [spoken(utterance, RATE) for utterance in picked]
    long = max((spoken(u, RATE) for u in utterances[:80]), key=lambda clip: len(clip.samples))
    noise = load_noise(audio_files(corpus("noise") / "rain")[0], RATE)
    options = StreamOptions(level_dbfs=-26.0, snr_db=request.param)
    samples, truths = whole(chunks([*clips, long], RATE, rng, options, noise))
    path = tmp_path_factory.mktemp("stream") / "minute.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path, truths


def listened(
    path: Path, model: Classifier, segment: SegmentOptions, block_ms: float = 100.0
) -> list[Event]:
    """What listening to a file as fast as it can be read finds."""
    options = SourceOptions(input=str(path), pace="fast", block_ms=block_ms)
    clock = StreamClock(epoch=0.0)
    source = make_source(options, clock)
    return list(Listener(model, source, Listening(segment=segment), options, clock))


def told(found: Sequence[Event | Decision]) -> list[tuple[Any, ...]]:
    """What events and decisions both say; scores to the last bit."""
    return [(e.kind, e.label, e.uncertain, e.scores, e.start_s, e.end_s, e.cut) for e in found]


@pytest.mark.needs("emodb", "noise")
@pytest.mark.parametrize("block_ms", [100.0, 37.0, 1000.0])
def test_utterances_are_those_of_the_offline_pass(
    recording: tuple[Path, list[Truth]], model: Classifier, block_ms: float
) -> None:
    path, truths = recording
    samples, rate = soundfile.read(path, dtype="float32")
    heard = listened(path, model, SegmentOptions(), block_ms)
    found = list(offline_decisions(lambda: [samples], rate, model))
    assert told(heard) == told(found)
    assert len(heard) >= len(truths)
    assert [event.sequence for event in heard] == list(range(1, len(heard) + 1))


@pytest.mark.needs("emodb", "noise")
@pytest.mark.parametrize("recording", [None], indirect=True, ids=["silence"])
def test_a_long_utterance_comes_in_pieces(
    recording: tuple[Path, list[Truth]], model: Classifier
) -> None:
    whole_clip = model.card.input.clip_samples / model.card.input.rate
    lengths = [e.end_s - e.start_s for e in listened(recording[0], model, SegmentOptions())]
    assert whole_clip in [pytest.approx(length) for length in lengths]


@pytest.mark.needs("emodb", "noise")
def test_the_offline_pass_is_the_array_form(
    recording: tuple[Path, list[Truth]], model: Classifier
) -> None:
    samples, rate = soundfile.read(recording[0], dtype="float32")
    chunk = np.concatenate(list(converted([samples], rate, model)))
    wanted, gate = model.card.input, GateOptions.recommended(model.card.segmenting)
    frame = frame_samples(wanted.rate, gate)
    spans = speech_segments(frame_levels(chunk, wanted.rate, gate), gate)
    pieces = [
        (number, *piece)
        for number, (first, last) in enumerate(spans, 1)
        for piece in split_pieces(first * frame, last * frame, wanted.clip_samples)
    ]
    assert [tuple(cut) for cut in cuts([chunk], model)] == pieces


@pytest.mark.needs("emodb", "noise")
@pytest.mark.parametrize("hop_s", [1.0, 0.5])
def test_windows_are_those_classified_from_scratch(
    recording: tuple[Path, list[Truth]], model: Classifier, hop_s: float
) -> None:
    path, _ = recording
    samples, rate = soundfile.read(path, dtype="float32")
    options = SegmentOptions(mode="window", hop_s=hop_s)
    heard = listened(path, model, options)
    found = windows_from_scratch(samples, rate, model, options)
    assert [event[:3] + event[4:] for event in told(heard)] == [
        event[:3] + event[4:] for event in told(found)
    ]
    assert len(heard) >= CLIPS
    for event, decision in zip(heard, found, strict=True):
        assert event.scores == pytest.approx(decision.scores, abs=1e-3)


def windows_from_scratch(
    samples: Any, rate: int, model: Classifier, options: SegmentOptions
) -> list[Decision]:
    """Windows of the stream cut all at once, each with features of its own."""
    pipeline = Pipeline(model, Listening(segment=options))
    segmenter = pipeline.segmenter()
    pieces = segmenter.process(np.concatenate(list(converted([samples], rate, model))))
    decisions = []
    for piece in [*pieces, *segmenter.finish()]:
        scores = np.array(list(model.predict(piece.samples).scores.values()))
        start, end = piece.start / pipeline.rate, piece.end / pipeline.rate
        decisions.append(
            pipeline.decider.decide("window", scores, start, end, piece.utterance, piece.cut)
        )
    return [decision for decision in decisions if decision is not None]


def test_the_offline_pass_keeps_neither_samples_nor_levels(model: Classifier) -> None:
    rate, minutes = model.card.input.rate, 4
    rng = np.random.default_rng(0)
    second = rng.standard_normal(rate).astype(np.float32)

    def stream() -> Iterator[np.ndarray]:
        for number in range(60 * minutes):
            yield second * np.float32(0.1 if number % 20 == 10 else 1e-4)

    tracemalloc.start()
    try:
        found = sum(1 for _ in cuts(stream(), model))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 3 * minutes
    assert peak < 20 * second.nbytes


@pytest.mark.parametrize("count", [1, 3, 7, 10, 100])
@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_levels_have_the_same_bits_in_blocks_of_any_size(rate: int, count: int) -> None:
    options = GateOptions()
    size = count * frame_samples(rate, options)
    noise = np.random.default_rng(0).standard_normal(2 * rate).astype(np.float32)
    blocks = [frame_levels(noise[i : i + size], rate, options) for i in range(0, len(noise), size)]
    np.testing.assert_array_equal(np.concatenate(blocks), frame_levels(noise, rate, options))
