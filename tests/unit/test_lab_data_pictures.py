"""Pictures of data: what is on the figure, and that its file is whole or not there."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DependencyError, StorageError
from edge_ser.frontend import PRESETS
from edge_ser.lab.augmentation import preset, read_augmentation
from edge_ser.lab.pictures import data as pictures
from edge_ser.lab.pictures.data import draw_augmentations, draw_class_counts, draw_clip
from edge_ser.pictures import new_figure, plain_text, write_png

pytestmark = pytest.mark.needs("matplotlib")

RATE = 16_000
SAMPLES = (0.3 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)
LOG_MEL = replace(PRESETS["log-mel"], rate=RATE, fmax=RATE / 2)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that were written."""
    figures: list[Any] = []
    monkeypatch.setattr(pictures, "write_png", lambda figure, path: figures.append(figure))
    return figures


def titles(figure: Any) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def images(figure: Any) -> list[Any]:
    return [image for axes in figure.axes for image in axes.images]


class TestClassCounts:
    def test_a_panel_for_each_split_and_a_bar_for_each_label(self, drawn: list[Any]) -> None:
        counts = {"train": {"calm": 1200, "glad": 30}, "test": {"calm": 4, "glad": 0}}
        draw_class_counts(counts, Path("x.png"), "mine")
        [figure] = drawn
        assert titles(figure) == ["train: 1,230 clips", "test: 4 clips"]
        widths = [[bar.get_width() for bar in axes.patches] for axes in figure.axes]
        assert widths == [[1200, 30], [4, 0]]
        assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["calm", "glad"]

    def test_labels_are_drawn_as_they_are(self, tmp_path: Path) -> None:
        labels = {"$x$": 1, "a\nb": 2, "\N{HIRAGANA LETTER A}": 3, "long" * 50: 4, "": 5}
        draw_class_counts({"all": labels}, tmp_path / "x.png")
        assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
        assert plain_text("$x$") == r"\$x\$"
        assert len(plain_text("long" * 50)) == 60
        assert plain_text("a\nb") == "a?b"


class TestClip:
    def test_a_tone_lies_where_it_sounds(self, drawn: list[Any]) -> None:
        draw_clip(SAMPLES, LOG_MEL, Path("x.png"), "tone")
        [figure] = drawn
        [image] = images(figure)
        array = image.get_array()
        left, right, bottom, top = image.get_extent()
        assert (left, right) == pytest.approx((-256 / RATE, (32 * 512 - 256) / RATE))
        assert array.shape == (128, 32)
        row = int(array[:, 16].argmax())
        axes = image.axes
        place = dict(
            zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True)
        )
        assert bottom + (row + 0.5) * (top - bottom) / 128 == pytest.approx(place["1 kHz"], abs=1)
        assert axes.get_xlim() == (0, 1)

    @pytest.mark.parametrize(
        ("name", "shapes"),
        [
            ("functionals", [(64, 63)]),
            ("librosa", [(128, 32), (39, 32)]),
            ("log-mel", [(128, 32)]),
            ("pitch", [(128, 32)]),
            ("python_speech_features", [(26, 99), (13, 99)]),
            ("torchaudio", [(128, 81), (40, 81)]),
            ("waveform", [(128, 32)]),
        ],
    )
    def test_every_frontend(
        self, name: str, shapes: list[tuple[int, int]], drawn: list[Any]
    ) -> None:
        spec = replace(PRESETS[name], rate=RATE, fmax=7900.0)
        draw_clip(SAMPLES, spec, Path("x.png"))
        assert [image.get_array().shape for image in images(drawn[0])] == shapes

    @pytest.mark.parametrize("samples", [SAMPLES[:1], np.zeros(3000, np.float32)])
    @pytest.mark.parametrize(
        "name", ["functionals", "librosa", "pitch", "python_speech_features", "waveform"]
    )
    def test_hardly_anything_and_silence(
        self, name: str, samples: np.ndarray, tmp_path: Path
    ) -> None:
        draw_clip(samples, PRESETS[name], tmp_path / "x.png")
        assert (tmp_path / "x.png").exists()

    @pytest.mark.parametrize("name", ["functionals", "pitch"])
    def test_pitch_is_drawn_in_hertz(self, name: str, drawn: list[Any]) -> None:
        tone = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE).astype(np.float32)
        draw_clip(tone, replace(PRESETS[name], rate=RATE), Path("x.png"))
        [points] = drawn[0].axes[2].collections
        seconds, hertz = np.asarray(points.get_offsets())[5:-5].T
        assert hertz == pytest.approx(np.full(len(hertz), 200), rel=0.01)
        assert seconds[0] == pytest.approx(5 * 0.016, abs=1e-6)

    def test_a_loud_click_between_many_samples_is_seen(self, drawn: list[Any]) -> None:
        samples = np.zeros(100_000, np.float32)
        samples[77_777] = 0.9
        draw_clip(samples, LOG_MEL, Path("x.png"))
        [path] = drawn[0].axes[0].collections[0].get_paths()
        assert path.vertices[:, 1].max() == pytest.approx(0.9)


class TestAugmentations:
    def test_a_cell_for_each_step_and_one_for_all(self, drawn: list[Any]) -> None:
        table = {
            "step": [
                {"name": "gain", "db": -6, "probability": 0.0},
                {"name": "low_pass", "hz": 3400},
                {"name": "reverse"},
            ]
        }
        draw_augmentations(read_augmentation(table), SAMPLES, LOG_MEL, Path("x.png"))
        assert titles(drawn[0]) == [
            "as it is",
            "gain: db -6",
            "low_pass: hz 3400",
            "reverse",
            "all of them",
        ]
        plain, softer, *_ = [image.get_array() for image in images(drawn[0])]
        assert plain.max() - softer.max() == pytest.approx(6, abs=0.01)
        scales = {image.get_clim() for image in images(drawn[0])}
        assert len(scales) == 1

    def test_copies_are_not_chained(self, drawn: list[Any]) -> None:
        draw_augmentations(preset("cktim"), SAMPLES, LOG_MEL, Path("x.png"), seed=3)
        assert [title.split(":")[0] for title in titles(drawn[0])] == [
            "as it is",
            "white_noise",
            "shift",
            "time_stretch",
            "reverse",
        ]

    def test_the_title_says_what_was_done(self, drawn: list[Any]) -> None:
        table = {"step": [{"name": "gain", "db": [-20, 20]}]}
        for seed in (1, 2):
            draw_augmentations(read_augmentation(table), SAMPLES, LOG_MEL, Path("x.png"), seed=seed)
        for figure in drawn:
            said = float(titles(figure)[1].removeprefix("gain: db "))
            plain, changed = [image.get_array() for image in images(figure)]
            assert changed.max() - plain.max() == pytest.approx(said, abs=0.06)
        assert titles(drawn[0]) != titles(drawn[1])

    def test_masks_are_in_the_image_or_in_the_waveform(self, drawn: list[Any]) -> None:
        chosen = read_augmentation({"step": [{"name": "time_mask", "share": 0.5, "fill": "zero"}]})
        draw_augmentations(chosen, SAMPLES, LOG_MEL, Path("x.png"))
        draw_augmentations(chosen, SAMPLES, replace(PRESETS["waveform"], rate=RATE), Path("x.png"))
        masked, gap = (images(figure)[1].get_array() for figure in drawn)
        assert (masked == 0).all(axis=0).sum() == 16
        assert (gap == gap.min()).all(axis=0).sum() > 8

    def test_nothing_to_do(self, drawn: list[Any]) -> None:
        draw_augmentations(read_augmentation({}), SAMPLES, LOG_MEL, Path("x.png"))
        assert titles(drawn[0]) == ["as it is"]

    def test_silence(self, tmp_path: Path) -> None:
        silence = np.zeros(RATE // 2, np.float32)
        chosen = read_augmentation({"step": [{"name": "room"}, {"name": "frequency_mask"}]})
        draw_augmentations(chosen, silence, LOG_MEL, tmp_path / "x.png")
        assert (tmp_path / "x.png").exists()


class TestFiles:
    def test_without_matplotlib_the_mend_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(DependencyError, match="pip install"):
            new_figure(1, 1)

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="expected a file that can be written"):
            write_png(new_figure(1, 1), tmp_path / "nowhere" / "x.png")
        (tmp_path / "folder.png").mkdir()
        with pytest.raises(StorageError):
            write_png(new_figure(1, 1), tmp_path / "folder.png")
        assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]

    def test_a_picture_is_replaced_in_one_step(self, tmp_path: Path) -> None:
        place = tmp_path / "x.png"
        place.write_bytes(b"old")
        write_png(new_figure(1, 1), place)
        assert place.read_bytes().startswith(b"\x89PNG")
        assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
