"""What a person says of a model, and the card that comes of it. Needs no framework."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import ConfigError, DataError, UsageError
from edge_ser.frontend import PRESETS
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.export.described import (
    Description,
    card_of,
    output_of,
    read_frontend,
    read_labels,
)
from edge_ser.lab.export.reference import Source

MEL = replace(PRESETS["log-mel"], rate=16_000, n_mels=8, fmax=8_000.0)
FUNCTIONALS = PRESETS["functionals"]
RAW = replace(PRESETS["waveform"], normalise="none")


def source(*inputs: tuple[int, ...], **more: Any) -> Source:
    return Source("onnx", "theirs.onnx", inputs or None, lambda shapes, labels: None, **more)


def said(**more: Any) -> Description:
    return Description(**{"labels": ("a", "b"), "frontends": (MEL,), "clip_samples": 4608, **more})


def test_labels_are_listed_or_lie_in_a_file(tmp_path: Path) -> None:
    assert read_labels(" calm, angry ,,other") == ("calm", "angry", "other")
    file = tmp_path / "labels.txt"
    file.write_text("﻿calm\n\n very angry \n", "utf-8")
    assert read_labels(str(file)) == ("calm", "very angry")
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="expected text, a label a line"):
        read_labels(str(file))
    file.write_bytes(b"a\n" * (1 << 20))
    with pytest.raises(DataError, match="over 1048576 bytes"):
        read_labels(str(file))


@pytest.mark.parametrize(
    ("text", "words"), [(" , ", "expected names such as"), ("a,b,a", "a stands there twice")]
)
def test_labels_that_are_none(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_labels(text)


@given(st.lists(st.text("abcdefg é_-", min_size=1, max_size=9).map(str.strip), unique=True))
def test_any_list_of_labels_is_read_back(labels: list[str]) -> None:
    wanted = tuple(label for label in labels if label)
    if len(wanted) > 1:
        assert read_labels(",".join(labels)) == wanted


def test_a_frontend_is_a_preset_or_a_file(tmp_path: Path) -> None:
    assert read_frontend("torchaudio") is PRESETS["torchaudio"]
    file = tmp_path / "mine.toml"
    file.write_text('preset = "log-mel"\nrate = 16000\nn_mels = 8\nfmax = 8000\ntop_db = ""\n')
    assert read_frontend(str(file)) == replace(MEL, top_db=None)
    file.write_text('kind = "mfcc"\nn_mfcc = 13\n')
    assert read_frontend(str(file)) == replace(PRESETS["librosa"], n_mfcc=13)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('preset = "log-mle"', "preset is 'log-mle', expected one of"),
        ("n_melz = 8", "'n_melz' is unknown: did you mean n_mels"),
        ('rate = "16 kHz"', "rate is '16 kHz', expected a whole number"),
        ("rate =", "expected a TOML file"),
    ],
)
def test_frontend_files_that_are_wrong(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_frontend(str(file))


def test_a_frontend_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"no such file, expected a TOML file or one of .*log-mel"):
        read_frontend("nowhere.toml")


@pytest.mark.parametrize(
    ("taken", "layout", "order"),
    [
        ((10, 8), "NTF", "time_first"),
        ((10, 8, 1), "NTFC", "time_first"),
        ((1, 10, 8), "NCTF", "time_first"),
        ((8, 10), "NFT", "time_last"),
        ((1, 8, 10), "NCFT", "time_last"),
        ((-1, 8), "NTF", "time_first"),
        ((8, -1), "NFT", "time_last"),
        ((-1, -1), "NTF", "time_first"),
    ],
)
def test_the_layout_is_seen_from_the_input(taken: tuple[int, ...], layout: str, order: str) -> None:
    card = card_of(source(taken), said())
    assert (card.input.layout, card.frontend[0].layout) == (layout, order)
    assert card.input.clip_samples == 4608 and card.name == "theirs"
    assert card.provenance.state == "trained" and "Art. 5" in card.provenance.excluded_use


@pytest.mark.parametrize(
    ("taken", "layout"), [((16_000,), "NT"), ((1, 16_000), "NCT"), ((16_000, 1), "NTC")]
)
def test_a_raw_waveform_shows_its_length(taken: tuple[int, ...], layout: str) -> None:
    card = card_of(source(taken), said(frontends=(RAW,), clip_samples=None))
    assert (card.input.layout, card.input.clip_samples) == (layout, 16_000)


@pytest.mark.parametrize(("taken", "layout"), [((1_437,), "NF"), ((1, 1_437), "NCF")])
def test_functionals_have_no_time(taken: tuple[int, ...], layout: str) -> None:
    card = card_of(source(taken), said(frontends=(FUNCTIONALS,), clip_samples=48_000))
    assert card.input.layout == layout and card.frontend == (FUNCTIONALS,)
    with pytest.raises(UsageError, match=r"expected --clip SECONDS or --clip-samples N$"):
        card_of(source((1_000,)), said(frontends=(FUNCTIONALS,), clip_samples=None))


def test_seconds_are_turned_into_samples() -> None:
    assert card_of(source((10, 8)), said(clip_samples=None, clip_seconds=0.288)).input == (
        card_of(source((10, 8)), said()).input
    )


def test_a_network_of_ours_brings_its_frontend_and_clip() -> None:
    described = Description(labels=tuple("abcdefg"), network=network("tim-tab1"))
    card = card_of(source(output="logits"), described)
    assert card.frontend[0].shape(card.input.clip_samples) == (39, 188)
    assert (card.input.layout, card.output.kind) == ("NFT", "logits")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ()}, "no labels, expected --labels"),
        ({"frontends": ()}, "no frontend, expected --frontend"),
        ({"clip_samples": None}, r"--clip-samples N: 10 frames come from 4608 to 5119 samples"),
        ({"clip_seconds": 1.0}, "--clip and --clip-samples: expected one of them"),
    ],
)
def test_what_has_to_be_said(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        card_of(source((10, 8)), said(**changes))


def test_a_length_that_a_file_claims_is_not_counted_through() -> None:
    frames = 1_000_000_000
    with pytest.raises(UsageError, match=f"{frames} frames come from"):
        card_of(source((frames, 8)), said(clip_samples=None))


def test_features_that_the_model_does_not_take() -> None:
    with pytest.raises(DataError, match=r"gives \(10, 8\), theirs.onnx takes \(any, 9\)"):
        card_of(source((-1, 9)), said())
    with pytest.raises(DataError, match="takes 2 inputs, 1 frontends were given"):
        card_of(source((10, 8), (16_000,)), said())


def test_labels_of_the_file_serve_where_none_are_given() -> None:
    file = source((10, 8), labels=("x", "y", "z"))
    assert card_of(file, said(labels=())).labels == ("x", "y", "z")
    assert card_of(file, said()).labels == ("a", "b")


SHARES = np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)
LOGITS = np.array([[-1.0, 3.0], [0.5, 0.5]], np.float32)
SIGMOIDS = np.array([[0.9, 0.8], [0.1, 0.2]], np.float32)


def test_what_scores_are_is_seen_from_them() -> None:
    assert output_of(SHARES, None, "m") == output_of(SHARES, "probabilities", "m")
    assert output_of(SHARES, None, "m") == "probabilities"
    assert output_of(LOGITS, None, "m") == output_of(LOGITS, "logits", "m") == "logits"
    assert output_of(SIGMOIDS, "logits", "m") == "logits"


@pytest.mark.parametrize(
    ("scores", "words", "told"),
    [
        (SIGMOIDS, "do not add up to 1: say with --outputs", None),
        (LOGITS, "scores from -1 to 3 that add up to 2, expected probabilities", "probabilities"),
        (SHARES, "add up to 1 on every clip, expected logits", "logits"),
    ],
)
def test_scores_that_are_not_what_was_said(scores: Any, words: str, told: Any) -> None:
    with pytest.raises(DataError, match=words):
        output_of(scores, told, "m")
