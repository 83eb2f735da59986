"""Which events a listener makes of what it hears, and which model makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edge_ser.errors import CardError, ConfigError
from edge_ser.events import DecideOptions
from edge_ser.listening.listener import EVENTS_WAITING, Listener
from edge_ser.listening.pipeline import Listening, Pipeline
from edge_ser.segment import GateOptions, SegmentOptions

from .listener_scripts import GUARD_S, RATE, listener, model, scripted, silence, speech, utterances


def test_each_utterance_is_an_event() -> None:
    events = list(listener(utterances(3)))
    assert [event.sequence for event in events] == [1, 2, 3]
    assert [event.label for event in events] == ["angry"] * 3
    for number, event in enumerate(events):
        assert event.start_s == pytest.approx(2 + 3 * number, abs=0.2)
        assert event.end_s == pytest.approx(3 + 3 * number, abs=0.2)
        assert event.level_dbfs == pytest.approx(-20, abs=1.5)
        assert event.scores == pytest.approx({"calm": 0.2, "angry": 0.8}, abs=1e-6)
        assert event.time == pytest.approx(1_000_000 + event.start_s, abs=0.01)
        assert event.latency_ms > 0
        assert (event.dropped_samples, event.cut, event.source) == (0, False, "scripted")
        assert event.model == "tiny"


def test_windows_slide_while_somebody_speaks() -> None:
    script = [*silence(), *speech(4), *silence(3)]
    options = Listening(
        segment=SegmentOptions(mode="window", hop_s=0.5), decide=DecideOptions(smoothing_s=0)
    )
    (event,) = listener(script, options=options)
    assert event.kind == "window"
    assert event.end_s == pytest.approx(2.5, abs=0.5)


def test_partial_results_come_before_the_utterance_has_ended() -> None:
    script = [*silence(), *speech(0.9), *silence()]
    events = list(listener(script, options=Listening(segment=SegmentOptions(partial_s=0.3))))
    *partial, whole = events
    assert len(partial) >= 2
    assert {event.kind for event in partial} == {"partial"}
    assert whole.kind == "utterance"
    assert {event.start_s for event in partial} == {whole.start_s}
    assert [event.end_s for event in partial] == sorted(event.end_s for event in partial)


def test_silence_is_reported_where_it_is_asked_for() -> None:
    script = [*silence(5), *speech(), *silence(6)]
    options = Listening(decide=DecideOptions(no_speech_after_s=2))
    events = list(listener(script, live=False, options=options))  # nothing is dropped
    assert [event.label for event in events] == ["no_speech", "angry", "no_speech"]
    assert events[2].level_dbfs == -120


def test_options_of_the_card_are_taken_and_checked() -> None:
    card = {"segmenting": {"mode": "window", "hop_s": 0.5}, "deciding": {"smoothing_s": 0.0}}
    (event,) = listener([*silence(), *speech(3), *silence()], classifier=model(**card))
    assert event.kind == "window"
    with pytest.raises(CardError, match="hop_s"):
        listener([], classifier=model(segmenting={"hop_s": "often"}))
    with pytest.raises(CardError, match=r"^\S+: deciding: decide: smoothing_s is -1.0"):
        listener([], classifier=model(deciding={"smoothing_s": -1.0}))
    with pytest.raises(ConfigError, match="joy"):
        listener([], options=Listening(decide=DecideOptions(thresholds={"joy": 0.5})))


def test_a_file_waits_for_a_slow_model() -> None:
    events = list(listener(utterances(20), live=False))
    assert len(events) == 20


def test_events_that_nobody_takes_are_dropped_not_heaped_up() -> None:
    count = EVENTS_WAITING // 200
    taken = listener(utterances(count))
    with taken:
        assert taken.join(GUARD_S)
    assert taken.status().events == count


def test_another_model_takes_over_without_a_gap() -> None:
    calm = model({"scores": [[0.9, 0.1]]})

    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(1)
        yield from speech(0.5)
        yield lambda: listening.replace(calm)
        yield from speech(0.5)
        yield from silence()

    listening, _ = scripted(script)
    first, second = listening
    assert (first.label, second.label) == ("angry", "calm")
    assert not second.cut
    assert second.end_s - second.start_s == pytest.approx(1.2, abs=0.2)


def test_a_model_that_hears_otherwise_ends_the_utterance_in_hand() -> None:
    from edge_ser.card import InputSpec

    other = model({"scores": [[0.9, 0.1]]}, input=InputSpec(rate=RATE, clip_samples=RATE // 2))

    def script(listening: Listener) -> Iterator[Any]:
        yield from silence()
        yield from speech(0.8)
        yield lambda: listening.replace(other)
        yield from silence(3)
        yield from speech(0.3)
        yield from silence()

    listening, _ = scripted(script)
    first, second = listening
    assert (first.label, first.cut) == ("angry", True)
    assert second.label == "calm"
    assert second.start_s == pytest.approx(5.8, abs=0.2), "the stream's time goes on"


def test_another_model_goes_on_with_the_options_of_before() -> None:
    calm = model({"scores": [[0.9, 0.1]]})

    def script(listening: Listener) -> Iterator[Any]:
        yield from silence()
        yield lambda: listening.replace(calm)
        yield from speech(3)
        yield from silence()
        yield lambda: listening.replace(calm, Listening())
        yield from speech(1)
        yield from silence()
        yield lambda: listening.replace(model())
        yield from speech(1)
        yield from silence()

    options = Listening(segment=SegmentOptions(mode="window", hop_s=0.5))
    listening, _ = scripted(script, options=options)
    assert [(event.kind, event.label) for event in listening] == [
        ("window", "calm"),
        ("utterance", "calm"),
        ("utterance", "angry"),
    ]


def test_a_dict_is_laid_over_what_the_card_recommends() -> None:
    recommending = model(segmenting={"enter_db": 12.0, "min_silence_ms": 900.0, "hop_s": 0.5})
    options = Listening(gate={"min_silence_ms": 300}, segment={"mode": "window"})
    pipeline = Pipeline(recommending, options)
    assert (pipeline.gate.enter_db, pipeline.gate.min_silence_ms) == (12.0, 300)
    assert (pipeline.segment.mode, pipeline.segment.hop_s) == ("window", 0.5)
    whole = Pipeline(recommending, Listening(gate=GateOptions(min_silence_ms=300)))
    assert whole.gate == GateOptions(min_silence_ms=300), "options take its place as a whole"
    other = Pipeline(model(segmenting={"enter_db": 8.0}), options)
    assert (other.gate.enter_db, other.gate.min_silence_ms) == (8.0, 300)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"segment": "window"}, r"segment is 'window', expected SegmentOptions.* \{'mode': 'utt"),
        ({"gate": 3}, r"gate is 3, expected GateOptions.*\{'frame_ms': 10.0\}"),
        ({"decide": True}, r"decide is True, expected DecideOptions"),
        ({"gate": {"enterdb": 12}}, r"gate: there is no 'enterdb', expected one of frame_ms, "),
        ({"gate": {"enter_db": "12"}}, r"gate: \{'enter_db': '12'\}, expected values such as"),
        ({"gate": {"enter_db": 1}}, r"leave_db 6.0 is above enter_db 1"),
    ],
)
def test_options_of_a_wrong_type_are_refused_in_a_line(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        listener([], options=Listening(**given))


def test_a_listener_is_left_like_a_file() -> None:
    with listener(utterances(5)) as listening:
        for event in listening:
            assert event.sequence == 1
            break
    assert listening.join(GUARD_S)


def test_subscribers_get_the_audio_with_the_event() -> None:
    got: list[tuple[int, float]] = []
    listening = listener(
        utterances(2), subscribers=[lambda event, clip: got.append((event.sequence, clip.seconds))]
    )
    listening.start()
    listening.start()
    assert listening.join(GUARD_S)
    assert [number for number, _ in got] == [1, 2]
    assert got[0][1] == pytest.approx(1.2, abs=0.1)
