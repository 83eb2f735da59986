"""Augmentation as it is configured: modes, presets, what a section may say, and the docs."""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.documents import to_toml
from edge_ser.errors import ConfigError
from edge_ser.lab.augmentation import (
    STEPS,
    Augmentation,
    OneOf,
    Step,
    as_mapping,
    augment,
    copies,
    preset,
    presets,
    read_augmentation,
)
from edge_ser.lab.augmentation.draws import plain
from edge_ser.lab.augmentation.steps import Shift, TimeStretch, WhiteNoise
from edge_ser.perturb import speech_rms

from .lab_augmentation_sounds import RATE, generator, rms, speech

DOCS = Path(__file__).resolve().parents[2] / "docs" / "augmentation.md"


class TestModes:
    def test_no_augmentation(self) -> None:
        nothing = read_augmentation({})
        samples = speech(10)
        assert nothing == Augmentation("online", ())
        assert augment(nothing, samples, RATE, generator()) is samples
        assert copies(nothing, samples, RATE, generator()) == []

    def test_steps_come_in_order(self) -> None:
        samples = speech(100)
        steps = [{"name": "shift", "share": 0.5}, {"name": "reverse"}]
        first = augment(read_augmentation({"step": steps}), samples, RATE, generator())
        second = augment(read_augmentation({"step": steps[::-1]}), samples, RATE, generator())
        np.testing.assert_array_equal(first, np.append(samples[:50][::-1], np.zeros(50)))
        np.testing.assert_array_equal(second, np.append(np.zeros(50), samples[50:][::-1]))

    def test_cktim_makes_its_four_files_of_each_clip(self) -> None:
        samples = speech(2000)
        cktim = preset("cktim")
        assert augment(cktim, samples, RATE, generator()) is samples
        noisy, shifted, stretched, reversed_ = copies(cktim, samples, RATE, generator(1))
        ratio = speech_rms(samples, RATE) / rms(noisy - samples)
        assert 20 * math.log10(ratio) == pytest.approx(10, abs=0.1)
        assert (shifted == 0).sum() in {
            round(share * 2000) for share in (0.05, 0.1, 0.15, 0.2, 0.3)
        }
        assert len(stretched) in {8000, 4000, 1333, 1000}
        np.testing.assert_array_equal(reversed_, samples[::-1])
        assert 406 * (1 + len(cktim.steps)) == 2030

    def test_copies_are_seeded(self) -> None:
        once, again, other = (
            copies(preset("cktim"), speech(500), RATE, generator(seed)) for seed in (1, 1, 2)
        )
        for one, same in zip(once, again, strict=True):
            np.testing.assert_array_equal(one, same)
        assert not np.array_equal(once[0], other[0])

    @pytest.mark.parametrize("name", ["wav2vec2", "microphone", "anywhere"])
    def test_presets_online(self, name: str) -> None:
        samples = speech(3000)
        chosen = preset(name)
        changed = [augment(chosen, samples, RATE, generator(n)) for n in range(4)]
        assert all(np.isfinite(each).all() for each in changed)
        assert len({each.tobytes() for each in changed}) > 1
        assert copies(chosen, samples, RATE, generator()) == []

    def test_a_preset_by_name(self) -> None:
        assert read_augmentation({"preset": "wav2vec2"}) is presets()["wav2vec2"]

    def test_a_preset_says_how_many_versions_unless_told(self) -> None:
        assert read_augmentation({"preset": "anywhere"}).versions == 6
        told = read_augmentation({"preset": "anywhere", "versions": 0})
        assert (told.versions, told.steps) == (0, preset("anywhere").steps)
        assert read_augmentation({"preset": "microphone", "versions": 3}).versions == 3


@st.composite
def steps_of_any_kind(draw: st.DrawFn) -> Step:
    kind = STEPS[draw(st.sampled_from(sorted(STEPS)))]
    values: dict[str, Any] = {"probability": draw(st.floats(0, 1))}
    for each in fields(kind):
        if isinstance(each.default, tuple | OneOf):
            low = 0.5
            number = st.floats(low, 2.0) if each.name == "speed" else st.just(1.0)
            if each.name in ("snr_db", "db", "semitones"):
                number = st.floats(0, 20)
            if each.name == "hz":
                number = st.floats(100, 4000)
            if each.name == "dbfs":
                number = st.floats(-100, -1)
            if each.name == "swell":
                number = st.floats(0, 1)
            values[each.name] = draw(
                number
                | st.tuples(number, number).map(lambda pair: (min(pair), max(pair)))
                | st.lists(number, min_size=1, max_size=4).map(lambda v: OneOf(tuple(v)))
            )
        elif each.default is MISSING:
            values[each.name] = draw(st.text(max_size=5).filter(lambda t: "\0" not in t))
    return kind(**values)


class TestReading:
    @given(steps=st.lists(steps_of_any_kind(), max_size=4), versions=st.integers(0, 100))
    def test_plain_values_give_the_same_again(self, steps: list[Step], versions: int) -> None:
        chosen = Augmentation("online", tuple(steps), versions)
        assert read_augmentation(as_mapping(chosen)) == chosen

    @pytest.mark.parametrize("name", ["cktim", "wav2vec2", "microphone", "anywhere"])
    def test_so_do_presets(self, name: str) -> None:
        assert read_augmentation(as_mapping(preset(name))) == preset(name)

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            (3, "is 3, expected a section with keys"),
            ({"mod": "online"}, "'mod' is unknown: did you mean mode?"),
            ({"mode": "onlin"}, "mode is 'onlin', expected online or copies"),
            ({"mode": ["online"]}, "expected online or copies"),
            ({"step": 3}, "step is 3, expected at most 100 tables"),
            ({"step": [{"name": "reverse"}] * 101}, "expected at most 100 tables"),
            ({"step": [3]}, "step 1 is 3, expected a table with a name"),
            ({"step": [{}]}, "step 1 has no name, expected one of white_noise,"),
            ({"step": [{"name": "revers"}]}, "no step is called 'revers': did you mean reverse?"),
            ({"step": [{"name": "echo"}]}, "no step is called 'echo': there are white_noise,"),
            ({"step": [{"name": "gain", "dbs": 3}]}, "'dbs' is unknown: did you mean db?"),
            ({"step": [{"name": "gain", "db": 61}]}, "gain: db is 61, expected -60 to 60"),
            ({"step": [{"name": "gain", "db": [-70, 3]}]}, "db is -70, expected -60 to 60"),
            ({"step": [{"name": "gain", "db": [6, 3]}]}, "expected a number, [lowest, highest]"),
            ({"step": [{"name": "gain", "db": [1, 2, 3]}]}, "expected a number"),
            ({"step": [{"name": "gain", "db": "loud"}]}, "db is 'loud', expected a number"),
            ({"step": [{"name": "gain", "db": True}]}, "db is True, expected a number"),
            ({"step": [{"name": "gain", "db": math.nan}]}, "db is nan, expected a number"),
            ({"step": [{"name": "gain", "db": 10**400}]}, "expected a number"),
            ({"step": [{"name": "gain", "db": {"one_of": []}}]}, "expected a number"),
            ({"step": [{"name": "gain", "db": {"any": [1]}}]}, "expected a number"),
            ({"step": [{"name": "gain", "probability": 1.5}]}, "probability is 1.5, expected 0 to"),
            ({"step": [{"name": "gain", "probability": [0, 1]}]}, "expected a number"),
            ({"step": [{"name": "time_mask", "count": 0}]}, "count is 0, expected 1 to 100"),
            ({"step": [{"name": "time_mask", "count": 1.5}]}, "expected a whole number"),
            ({"step": [{"name": "time_mask", "fill": "max"}]}, "expected zero or mean"),
            ({"step": [{"name": "real_noise"}]}, "real_noise has no folder"),
            ({"mode": "copies"}, "mode copies without a step"),
            (
                {"mode": "copies", "step": [{"name": "gain", "probability": 0.5}]},
                "gain has probability 0.5, expected 1 in mode copies",
            ),
            (
                {"mode": "copies", "step": [{"name": "time_mask"}]},
                "time_mask changes features",
            ),
            ({"preset": "microfone"}, "no augmentation is called 'microfone': did you mean micro"),
            ({"preset": ["cktim"]}, "no augmentation is called"),
            ({"preset": "cktim", "mode": "copies"}, "preset stands beside other keys"),
            ({"preset": "cktim", "versions": 2}, "[augmentation]: versions is 2 in mode copies"),
            ({"preset": "anywhere", "versions": 101}, "versions is 101, expected 0 to 100"),
            ({"versions": -1}, "[augmentation]: versions is -1, expected 0 to 100"),
            ({"versions": True}, "versions is True, expected a whole number"),
            ({"versions": 1.5}, "versions is 1.5, expected a whole number"),
            ({"step": [{"name": "speed", "factor": 3}]}, "factor is 3, expected 0.5 to 2"),
            ({"step": [{"name": "coloured_noise", "swell": 2}]}, "swell is 2, expected 0 to 1"),
            (
                {"step": [{"name": "real_noise", "folder": "x", "voices": 0}]},
                "voices is 0, expected 1 to 32",
            ),
        ],
    )
    def test_what_cannot_be(self, table: Any, words: str) -> None:
        with pytest.raises(ConfigError, match=re.escape(words)) as caught:
            read_augmentation(table)
        assert "\n" not in str(caught.value)

    def test_steps_made_in_python_are_checked_too(self) -> None:
        with pytest.raises(ConfigError, match=r"speed is 0\.01, expected 0\.1 to 10"):
            TimeStretch(speed=OneOf((1.0, 0.01)))

    def test_published_values_of_cktim(self) -> None:
        noise, shift, stretch, _ = preset("cktim").steps
        assert noise == WhiteNoise(snr_db=10.0)
        assert shift == Shift()
        assert stretch == TimeStretch(speed=OneOf((0.25, 0.5, 1.5, 2.0)))


def test_the_docs_list_every_step_with_its_defaults() -> None:
    step, documented = "", []
    for row in re.findall(r"^\|(.*)\|$", DOCS.read_text().split("## Steps")[1], re.M):
        cells = [cell.strip().strip("`") for cell in row.split("|")]
        if len(cells) < 4 or cells[0] in ("step", "---"):
            continue
        step = cells[0] or step
        documented.append((step, cells[1], cells[3]))
    assert documented
    expected = []
    for name, kind in STEPS.items():
        own = [each for each in fields(kind) if each.name != "probability"]
        for each in own:
            given_ = each.default is not MISSING
            shown = to_toml(plain(each.default)) if given_ else "none: must be given"
            expected.append((name, each.name, shown.replace('"one_of"', "one_of")))
        if not own:
            expected.append((name, "", ""))
    assert [(s, p, d.replace(".0", "")) for s, p, d in documented] == [
        (s, p, d.replace(".0", "")) for s, p, d in expected
    ]
