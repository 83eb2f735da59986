"""The path from a recording to a prediction, with a fake interpreter in place of a runtime."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile

import edge_ser
from edge_ser.audio import Clip
from edge_ser.card import InputSpec, ModelCard, ModelFile, OutputSpec, Provenance
from edge_ser.classifier import NO_SPEECH, Classifier, opening
from edge_ser.classifier.prediction import Prediction
from edge_ser.errors import AudioError, CardError, ModelError, ProviderError, UsageError
from edge_ser.frontend import FrontendSpec
from edge_ser.runtime import Tensor
from edge_ser.testing import write_tiny_model

RATE = 16_000
CLIP_SAMPLES = 16_000
LABELS = ("anger", "neutral", "sadness")
WAVEFORM = FrontendSpec(kind="waveform", rate=RATE)


class Loudness:
    """An interpreter whose scores depend on the features: the louder, the angrier."""

    provider = "cpu"
    details: Mapping[str, object] = {"runtime": "fake"}

    def __init__(self, blocks: int = 1, size: int = len(LABELS)) -> None:
        self.inputs = tuple(Tensor(f"in{i}", (1, CLIP_SAMPLES), "float32") for i in range(blocks))
        self.outputs = (
            Tensor("scores", (1, size), "float32"),
            Tensor("embedding", (1, 4), "float32"),
        )
        self.seen: list[np.ndarray] = []

    def run(self, features: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        self.seen.extend(features)
        level = float(np.sqrt(np.mean(np.square(features[0]))))
        raw = np.array([[level, 0.1, 0.05]], dtype=np.float32)
        return {"scores": raw / raw.sum(), "embedding": np.zeros((1, 4), dtype=np.float32)}


def card(**changes: Any) -> ModelCard:
    """A card of the fake model."""
    plain = ModelCard(
        name="loudness",
        task="speech-emotion",
        labels=LABELS,
        input=InputSpec(rate=RATE, clip_samples=CLIP_SAMPLES),
        frontend=(WAVEFORM,),
        output=OutputSpec(scores="scores"),
        provenance=Provenance(state="trained"),
    )
    return replace(plain, **changes)


def classifier(interpreter: Loudness | None = None, **changes: Any) -> Classifier:
    """A classifier around the fake."""
    model = ModelFile(Path("loudness.tflite"), "tflite", b"", card(**changes))
    return Classifier(model, interpreter or Loudness())


def noise(seconds: float, level: float = 0.2, rate: int = RATE) -> np.ndarray:
    """White noise of an RMS level."""
    samples = np.random.default_rng(0).standard_normal(int(seconds * rate)) * level
    return samples.astype(np.float32)


def test_a_short_clip_is_one_record_with_all_scores_and_timings() -> None:
    fake = Loudness()
    prediction = classifier(fake)(noise(0.5), rate=RATE)
    assert prediction.label == "anger"
    assert list(prediction.scores) == list(LABELS)
    assert sum(prediction.scores.values()) == pytest.approx(1)
    assert prediction.segments == ()
    assert prediction.seconds == 0.5
    assert prediction.gain_db == 0.0
    assert list(prediction.timings) == ["load", "resample", "frontend", "model", "post", "total"]
    assert prediction.timings["total"] == pytest.approx(sum(list(prediction.timings.values())[:-1]))
    assert np.array_equal(fake.seen[0][4000:12000], noise(0.5))
    assert not fake.seen[0][:4000].any()


def test_up_to_a_quarter_more_than_the_clip_is_cropped() -> None:
    fake = Loudness()
    samples = noise(1.25)
    assert classifier(fake)(samples, rate=RATE).segments == ()
    assert np.array_equal(fake.seen[0], samples[2000:18000])


def test_a_long_recording_is_cut_into_segments_weighted_by_their_speech() -> None:
    quiet = noise(1.0, 1e-5)
    recording = np.concatenate([quiet, noise(0.5, 0.3), quiet, noise(2.2, 0.02), quiet])
    prediction = classifier()(Clip(recording, RATE))
    assert [s.label for s in prediction.segments] == ["anger", "neutral", "neutral", "neutral"]
    first = prediction.segments[0]
    assert (first.start_s, first.end_s) == (
        pytest.approx(0.9, abs=0.05),
        pytest.approx(1.6, abs=0.05),
    )
    weights = [s.end_s - s.start_s for s in prediction.segments]
    expected = np.average([s.scores["anger"] for s in prediction.segments], weights=weights)
    assert prediction.scores["anger"] == pytest.approx(expected)
    assert prediction.label == "neutral"
    assert all(s.end_s - s.start_s <= 1.25 + 1e-9 for s in prediction.segments)


def test_a_long_recording_without_speech_says_so() -> None:
    prediction = classifier()(np.zeros(5 * RATE, dtype=np.float32), rate=RATE)
    assert prediction.label == NO_SPEECH
    assert prediction.segments == ()
    assert set(prediction.scores.values()) == {0.0}
    assert not prediction.uncertain


def test_the_gate_takes_what_the_card_recommends() -> None:
    recording = np.concatenate([noise(1, 1e-5), noise(0.5), noise(1, 1e-5)])
    deaf = classifier(segmenting={"minimum_dbfs": -3.0, "not_for_the_gate": "x"})
    assert deaf(recording, rate=RATE).label == NO_SPEECH
    with pytest.raises(CardError, match="segmenting: enter_db is 'loud'"):
        classifier(segmenting={"enter_db": "loud"})


def test_another_rate_and_several_channels_are_brought_to_the_model() -> None:
    fake = Loudness()
    stereo = np.stack([noise(0.5, rate=48_000)] * 2, axis=1)
    classifier(fake)(stereo, rate=48_000)
    assert fake.seen[0].shape == (CLIP_SAMPLES,)


def test_bandwidth_and_level_of_the_training_speech_are_applied() -> None:
    fake = Loudness()
    wanted = InputSpec(
        rate=RATE, clip_samples=CLIP_SAMPLES, source_bandwidth_hz=2000.0, level_dbfs=-20.0
    )
    prediction = classifier(fake, input=wanted)(noise(1.0), rate=RATE)
    spectrum = np.abs(np.fft.rfft(fake.seen[0]))
    assert spectrum[3000:].max() < 1e-2 * spectrum[:1800].max()
    assert np.sqrt(np.mean(fake.seen[0] ** 2)) == pytest.approx(0.1, rel=0.05)
    assert prediction.gain_db == pytest.approx(0.0, abs=3)
    assert prediction.gain_db != 0


def test_temperature_and_threshold_come_from_the_card() -> None:
    sharp = classifier()(noise(1.0), rate=RATE)
    soft_output = OutputSpec(scores="scores", temperature=2.0, uncertain_below=0.6)
    soft = classifier(output=soft_output)(noise(1.0), rate=RATE)
    expected = np.sqrt(list(sharp.scores.values()))
    assert list(soft.scores.values()) == pytest.approx(list(expected / expected.sum()))
    assert soft.uncertain
    assert not sharp.uncertain


def test_logits_go_through_a_softmax() -> None:
    scores = classifier(output=OutputSpec(kind="logits", scores="scores")).scores(
        Clip(noise(1.0), RATE)
    )
    raw = Loudness().run([noise(1.0)])["scores"][0].astype(np.float64)
    assert scores == pytest.approx(np.exp(raw) / np.exp(raw).sum())


def test_a_file_a_file_object_and_a_clip_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(0.7, 0.1), RATE, subtype="FLOAT")
    model = classifier()
    by_path = model(path)
    assert model(str(path)).scores == by_path.scores
    assert model(io.BytesIO(path.read_bytes())).scores == by_path.scores
    assert model(Clip(noise(0.7, 0.1), RATE)).scores == by_path.scores


def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    soundfile.write(good, noise(0.7), RATE)
    bad.write_text("not audio")
    first, second = classifier().classify_many([bad, good])
    assert isinstance(first.error, AudioError)
    assert first.prediction is None
    assert second.error is None
    assert isinstance(second.prediction, Prediction)


def test_samples_need_a_rate_and_nothing_else_takes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without a rate"):
        classifier()(noise(0.5))
    with pytest.raises(UsageError, match="only samples take a rate"):
        classifier()(tmp_path / "clip.wav", rate=RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(value: float) -> None:
    samples = noise(5.0)
    samples[-1] = value
    with pytest.raises(AudioError, match="NaN or infinite"):
        classifier()(samples, rate=RATE)
    with pytest.raises(AudioError, match="NaN or infinite"):
        classifier()(Clip(samples, RATE))


def test_two_feature_blocks_reach_two_inputs_in_order() -> None:
    fake = Loudness(blocks=2)
    normalised = replace(WAVEFORM, normalise="zero_mean_unit_variance")
    classifier(fake, frontend=(WAVEFORM, normalised))(noise(1.0), rate=RATE)
    assert np.var(fake.seen[0]) == pytest.approx(0.04, rel=0.05)
    assert np.var(fake.seen[1]) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ("fake", "changes", "message"),
    [
        (Loudness(size=4), {}, "the card has 3 labels, output 'scores' has 4 values"),
        (Loudness(blocks=2), {}, "the card has 1 feature blocks, the graph takes 2"),
        (Loudness(), {"output": OutputSpec(scores="other")}, "the card names output 'other'"),
        (Loudness(), {"output": OutputSpec(embedding="inner")}, "the card names output 'inner'"),
    ],
)
def test_a_card_that_does_not_fit_its_graph_is_refused(
    fake: Loudness, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=rf"^loudness\.tflite: {message}"):
        classifier(fake, **changes)


def test_without_a_name_the_first_output_holds_the_scores() -> None:
    assert classifier(output=OutputSpec()).scores(Clip(noise(1.0), RATE)).shape == (3,)


def test_what_runs_the_model_is_told() -> None:
    model = classifier()
    assert model.provider == "cpu"
    assert model.details == {"runtime": "fake"}
    assert model.path == Path("loudness.tflite")


def test_a_prediction_as_json() -> None:
    quiet = noise(1.0, 1e-5)
    recording = np.concatenate([quiet, noise(0.5, 0.3), quiet])
    record = classifier()(recording, rate=RATE).to_dict()
    assert list(record) == [
        "label",
        "scores",
        "uncertain",
        "seconds",
        "gain_db",
        "segments",
        "timings_ms",
    ]
    assert record["seconds"] == 2.5
    assert record["segments"][0]["label"] == "anger"


class Inner(Loudness):
    """Its embedding is the loudness of four quarters of the clip."""

    def run(self, features: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        quarters = np.abs(features[0]).reshape(4, -1).mean(axis=1)
        return {**super().run(features), "embedding": quarters[None].astype(np.float64)}


def test_the_embedding_is_of_the_same_clip_as_the_scores(tmp_path: Path) -> None:
    changes = {
        "output": OutputSpec(scores="scores", embedding="embedding"),
        "input": InputSpec(rate=RATE, clip_samples=CLIP_SAMPLES, level_dbfs=-20.0),
    }
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(5.0, rate=48_000), 48_000, subtype="FLOAT")
    fake = Inner()
    model = classifier(fake, **changes)
    embedding = model.embed(path)
    assert (embedding.shape, embedding.dtype) == ((4,), np.float32)
    assert embedding.min() > 0
    model.crop(path)
    embedded, classified = fake.seen
    assert np.array_equal(embedded, classified)
    np.testing.assert_allclose(embedding, np.abs(classified).reshape(4, -1).mean(axis=1), rtol=1e-6)
    with path.open("rb") as file:
        assert np.array_equal(model.embed(file), embedding)


def test_samples_with_their_rate_are_cropped_and_embedded_like_a_clip() -> None:
    model = classifier(Inner(), output=OutputSpec(scores="scores", embedding="embedding"))
    samples = noise(5.0, rate=48_000)
    clip = Clip(samples, 48_000)
    assert np.array_equal(model.embed(samples, rate=48_000), model.embed(clip))
    assert model.crop(samples, rate=48_000).scores == model.crop(clip).scores
    assert np.array_equal(model.features(samples, 48_000)[0], model.features(clip)[0])
    for method in (model.embed, model.crop):
        with pytest.raises(UsageError, match=r"rate=16000, or a Clip\(samples, 16000\)"):
            method(samples)


def test_a_model_without_an_embedding_says_so() -> None:
    with pytest.raises(ModelError, match=r"^loudness\.tflite: the card names no embedding, .*tim"):
        classifier().embed(Clip(noise(1.0), RATE))


def test_an_embedding_that_is_not_finite_is_an_error_of_the_model() -> None:
    class Broken(Loudness):
        def run(self, features: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
            return {**super().run(features), "embedding": np.array([[0.5, np.nan]])}

    model = classifier(Broken(), output=OutputSpec(scores="scores", embedding="embedding"))
    with pytest.raises(ModelError, match=r"loudness\.tflite: .*infinite values of its embedding"):
        model.embed(Clip(noise(1.0), RATE))


def test_untrained_weights_are_refused_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = ModelFile(
        Path("raw.tflite"), "tflite", b"x", card(provenance=Provenance(state="untrained"))
    )
    monkeypatch.setattr(opening, "find_model", lambda name, provider: raw.path)
    monkeypatch.setattr(opening, "read_model", lambda path: raw)
    monkeypatch.setattr(opening, "open_model", lambda payload, provider, threads: Loudness())
    with pytest.raises(ModelError, match="never trained"):
        edge_ser.load_model("raw")
    assert edge_ser.load_model("raw", allow_untrained=True).card.name == "loudness"


def test_what_a_runtime_refuses_is_named(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx", {"calm": 0.9, "angry": 0.1}).path
    with pytest.raises(ProviderError, match=rf"^{path}: provider 'none'"):
        edge_ser.load_model(path, provider="none")


@pytest.mark.parametrize("kind", ["probabilities", "logits"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error_of_the_model(
    kind: Literal["probabilities", "logits"], value: float
) -> None:
    class Broken(Loudness):
        def run(self, features: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
            return {"scores": np.array([[0.5, value, 0.1]], dtype=np.float32)}

    model = classifier(Broken(), output=OutputSpec(scores="scores", kind=kind))
    with pytest.raises(ModelError, match=r"loudness\.tflite: .*NaN or infinite scores"):
        model(noise(1.0), rate=RATE)


def test_a_clip_shorter_than_a_sample_of_the_recording_is_one_sample() -> None:
    spec = replace(WAVEFORM, rate=384_000)
    tiny = classifier(input=InputSpec(rate=384_000, clip_samples=1), frontend=(spec,))
    samples = np.concatenate([np.zeros(8000), noise(0.3, rate=8000), np.zeros(8000)])
    assert len(tiny(samples, rate=8000).segments) > 100


def test_a_long_list_of_samples_is_not_repeated_in_the_message() -> None:
    with pytest.raises(UsageError, match="rate=16000 was given with a list: ") as caught:
        classifier()([0.5] * 10_000, rate=RATE)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200
