"""Augmentation of features: what is masked, and that the rest is as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import DataError
from edge_ser.lab.augmentation import STEPS, FeatureStep, mask_features, preset, read_augmentation

from .lab_augmentation_sounds import SEEDS, generator

MASKS = [name for name, kind in STEPS.items() if issubclass(kind, FeatureStep)]


class TestMasks:
    @given(
        frames=st.integers(1, 60),
        coefficients=st.integers(1, 20),
        share=st.floats(0, 1),
        fill=st.sampled_from(["zero", "mean"]),
        name=st.sampled_from(MASKS),
        time_axis=st.sampled_from([0, 1]),
        seed=SEEDS,
    )
    def test_one_block_is_filled_and_the_rest_is_as_it_was(
        self,
        frames: int,
        coefficients: int,
        share: float,
        fill: str,
        name: str,
        time_axis: int,
        seed: int,
    ) -> None:
        shape = (frames, coefficients) if time_axis == 0 else (coefficients, frames)
        features = 5 + generator(9).standard_normal(shape).astype(np.float32)
        before = features.copy()
        table = {"step": [{"name": name, "share": share, "fill": fill}]}
        masked = mask_features(
            read_augmentation(table), features, generator(seed), time_axis=time_axis
        )
        np.testing.assert_array_equal(features, before)
        axis = time_axis if name == "time_mask" else 1 - time_axis
        means = np.broadcast_to(features.mean(axis=time_axis, keepdims=True), shape)
        filled = np.moveaxis(means if fill == "mean" else np.zeros(shape), axis, 0)
        within, was = np.moveaxis(masked, axis, 0), np.moveaxis(features, axis, 0)
        width = round(share * shape[axis])
        assert any(
            np.array_equal(np.delete(within, rows, 0), np.delete(was, rows, 0))
            and np.allclose(within[rows], filled[rows], rtol=1e-5)
            for rows in (slice(at, at + width) for at in range(shape[axis] - width + 1))
        )

    def test_several_masks(self) -> None:
        table = {"step": [{"name": "time_mask", "share": 0.1, "count": 3, "fill": "zero"}]}
        masked = mask_features(read_augmentation(table), np.ones((100, 2), np.float32), generator())
        assert 10 < (masked[:, 0] == 0).sum() <= 30

    def test_places_and_widths_are_random(self) -> None:
        table = {"step": [{"name": "time_mask", "share": [0, 0.5], "fill": "zero"}]}
        found = {
            mask_features(read_augmentation(table), np.ones(40, np.float32), generator(n)).tobytes()
            for n in range(30)
        }
        assert len(found) > 20

    def test_a_waveform_gets_a_gap(self) -> None:
        table = {"step": [{"name": "time_mask", "share": 0.25, "fill": "zero"}]}
        masked = mask_features(read_augmentation(table), np.ones(80, np.float32), generator())
        assert (masked == 0).sum() == 20

    @pytest.mark.parametrize(
        ("name", "shape", "time_axis"),
        [
            ("frequency_mask", (80,), 0),
            ("frequency_mask", (8, 5, 2), 0),
            ("frequency_mask", (8, 5), 2),
            ("time_mask", (80,), 1),
            ("time_mask", (8, 5, 2), 0),
            ("time_mask", (8, 5), -1),
        ],
    )
    def test_features_without_the_axis(
        self, name: str, shape: tuple[int, ...], time_axis: int
    ) -> None:
        chosen = read_augmentation({"step": [{"name": name}]})
        with pytest.raises(DataError, match=f"{name}: features of shape"):
            mask_features(chosen, np.zeros(shape, np.float32), generator(), time_axis=time_axis)

    def test_waveform_steps_leave_features_alone(self) -> None:
        features = np.ones((4, 4), np.float32)
        assert mask_features(preset("microphone"), features, generator()) is features
