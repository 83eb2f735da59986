"""Every published row is built and counted, and networks are found by name."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DataError, DependencyError
from edge_ser.frontend.measures import MELODY
from edge_ser.lab import compute
from edge_ser.lab.architectures import FAMILIES, Network, build, network, networks

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPES = {
    "capsules": (196, 39),
    "functionals": (1_437,),
    "tim": (39, 188),
    "waveform-cnn": (16_000,),
    "wav2vec2": (96_000,),
    "spectral": (196, 128),
}
NEEDS = {"keras": "tensorflow", "torch": "torch"}


def parameters(model: Any) -> int:
    """As the papers count: with moving statistics in Keras, what is trained in Torch."""
    if hasattr(model, "count_params"):
        return int(model.count_params())
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def cells() -> list[Any]:
    return [
        pytest.param(
            row, classes, count, id=f"{name}-{classes}", marks=pytest.mark.needs(NEEDS[framework])
        )
        for name, row in networks().items()
        for framework in [row.kind.framework]
        for classes, count in row.parameters.items()
    ]


@pytest.mark.parametrize(("row", "classes", "count"), cells())
def test_parameters_are_as_many_as_published(row: Network, classes: int, count: int) -> None:
    if row.kind.framework == "keras":
        compute.prepare()
        place: Any = nullcontext()
    else:
        import torch

        place = torch.device("meta")  # where weights have shapes and no values
    with place:
        assert parameters(build(row, classes, SHAPES[row.family])) == count


def test_no_published_row_is_missing() -> None:
    counts = Counter(dict.fromkeys(FAMILIES, 0))
    for row in networks().values():
        counts[row.family] += len(row.parameters) * (row.kind.framework == "torch" or not row.note)
    assert counts == {
        "functionals": 0,
        "capsules": 36 + 3,  # two tables of six rows for three corpora, and the older network
        "tim": 8 + 8 + 8,  # by depth: TIM and CkTIM; omega_0 2, hidden scale 3, CkkTIM 3
        "waveform-cnn": 66 + 7,  # by schedule, width and depth; and the networks of the text
        "wav2vec2": 4,
        "spectral": 0,
    }
    unpublished = {n for n, row in networks().items() if row.note and row.family == "capsules"}
    assert unpublished == {"plb-gate", "improved-routing-cbam"}
    backbones = {row.parameters[4] for row in networks().values() if row.family == "wav2vec2"}
    assert {316_087_684, 316_097_412} <= backbones


@pytest.mark.parametrize("family", ["capsules", "tim"])
def test_rows_are_different_networks(family: str) -> None:
    """Of the 1-D CNNs, two of the text are also in the tables by depth."""
    chosen = [row.options for row in networks().values() if row.family == family]
    assert len(set(chosen)) == len(chosen)


@pytest.mark.needs("torch")
def test_the_row_without_a_count_is_built() -> None:
    assert parameters(build(network("spectral-base"), 4, SHAPES["spectral"])) > 0


@pytest.mark.needs("tensorflow")
def test_the_perceptron_is_small() -> None:
    """What layers adapt to before training (mean, variance, the usual) is not trained."""
    compute.prepare()
    model = build(network("functionals-24"), 7, SHAPES["functionals"])
    assert parameters(model) == 37_556
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained == 1_437 * 24 + 24 + 24 * 7
    assert model.get_layer("embedding").output.shape == (None, 24)
    scores = np.asarray(model(np.full((2, 1_437), 1e9, np.float32)))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


@pytest.mark.needs("tensorflow")
def test_many_units_behind_few_sums() -> None:
    """`rank` sums of the values in their place: 1,117 of them, nine labels, below 100,000."""
    compute.prepare()
    model = build(network("functionals-48-752"), 9, (1_117,))
    kernels = [weight.shape for weight in model.trainable_weights]
    assert kernels == [(1_117, 48), (48, 752), (752,), (752, 9)]
    assert parameters(model) == 99_468
    assert model.get_layer("embedding").output.shape == (None, 752)
    scores = np.asarray(model(np.full((2, 1_117), -1e9, np.float32)))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


@pytest.mark.needs("tensorflow")
def test_the_unfamiliar_fades() -> None:
    compute.prepare()
    import keras

    from edge_ser.lab.architectures.perceptron import Familiarity

    chance = np.random.default_rng(0)
    layer = Familiarity()
    values = chance.normal(size=(1_000, 50)).astype(np.float32)
    assert np.asarray(layer(values)).shape == (1_000, 1)
    layer.adapt(values)
    usual = np.percentile(np.square(values).mean(axis=1), 97)
    assert float(layer.usual) == pytest.approx(usual)
    trust = np.asarray(layer(values))
    assert (trust == 1).mean() == pytest.approx(0.97, abs=0.002) and trust.min() > 0.3
    # Twice as large are four times as strange.
    strange = np.full((1, 50), np.sqrt(4 * usual), np.float32)
    np.testing.assert_allclose(layer(strange), 1 / 16, rtol=1e-5)
    np.testing.assert_array_equal(layer(strange, training=True), 1)
    np.testing.assert_array_equal(layer(np.zeros((1, 50), np.float32)), 1)

    model = build(network("functionals-24"), 7, SHAPES["functionals"])
    embedding = keras.Model(model.input, model.get_layer("embedding").output)
    near = chance.normal(size=(1, 1_437)).astype(np.float32)
    assert np.abs(embedding(near)).max() > 0.1
    # All values at the limit of 5: 1 / 25^2 of it, and the same answer, less sure.
    far = 1e6 * near
    np.testing.assert_array_less(np.abs(embedding(far)), 0.1)
    plain = keras.Model(model.input, model.get_layer("hidden").output)
    weights = model.get_layer("scores").get_weights()[0]
    assert int((np.asarray(plain(far)) @ weights).argmax()) == int(np.asarray(model(far)).argmax())
    assert 1 / 7 < np.asarray(model(far)).max() < 0.2
    # The melody alone counts: a microphone or a room changes all else.
    trust = keras.Model(model.input, model.get_layer("familiarity").output)
    coloured = np.concatenate([far[:, : -len(MELODY)], near[:, -len(MELODY) :]], axis=1)
    np.testing.assert_array_equal(trust(coloured), trust(near))
    np.testing.assert_allclose(trust(far), 1 / 25**2, rtol=1e-5)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    ("changes", "shape", "words"),
    [
        ({}, (196, 39), r"features of shape \(196, 39\), expected \(values,\)"),
        ({"hidden": 0}, (9,), "hidden is 0, expected 1 to 4096"),
        ({"hidden": 5_000}, (9,), "hidden is 5000, expected 1 to 4096"),
        ({"rank": -1}, (9,), "rank is -1, expected 0 to 4096"),
        ({"dropout": 1.0}, (9,), "dropout is 1.0, expected 0 to below 1"),
        ({"input_dropout": -0.1}, (9,), "input_dropout is -0.1, expected 0 to below 1"),
        ({"noise": 6.0}, (9,), "noise is 6.0 and limit 5.0, expected 0 <= noise <= limit"),
    ],
)
def test_perceptrons_that_cannot_be(
    changes: dict[str, Any], shape: tuple[int, ...], words: str
) -> None:
    compute.prepare()
    with pytest.raises(DataError, match=words):
        build(network("functionals-24").with_options(**changes), 7, shape)


@pytest.mark.parametrize("family", FAMILIES)
def test_frameworks_stay_out_until_a_network_is_built(family: str) -> None:
    program = (
        "import sys, edge_ser.lab.architectures.networks, edge_ser.lab.architectures.options\n"
        "from edge_ser.lab.architectures import networks\n"
        f"assert [row for row in networks().values() if row.family == {family!r}]\n"
        "assert not {'keras', 'tensorflow', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class TestNames:
    def test_of_an_unknown_network_the_nearest_is_told(self) -> None:
        with pytest.raises(
            DataError, match=r"no network 'cktim-tab66', .* did you mean cktim-tab6"
        ):
            network("cktim-tab66")

    def test_where_none_is_near_the_list_is_pointed_to(self) -> None:
        with pytest.raises(DataError, match=r"no network 'ast', .* see 'edge-ser train --list'"):
            network("ast")

    def test_of_an_unknown_option_the_nearest_is_told(self) -> None:
        with pytest.raises(DataError, match="capsules: 'gate_bm' is unknown: did you mean gate_bn"):
            network("plb").with_options(gate_bm="site")

    def test_where_none_is_near_all_options_are_told(self) -> None:
        with pytest.raises(DataError, match="tim: 'xyz' is unknown: there are blocks, continuous"):
            network("tim-tab1").with_options(xyz=1)

    def test_of_an_option_that_cannot_be_the_choice_is_told(self) -> None:
        with pytest.raises(DataError, match=r"gate_bn is 'sites', expected .*published.*site"):
            network("plb").with_options(gate_bn="sites")


class TestOptions:
    def test_what_is_chosen_changes_and_the_rest_stays(self) -> None:
        changed = network("plb-sa").with_options(reverse_axis="time")
        assert (changed.name, changed.options.without) == ("plb-sa", "sa")
        assert changed.options.reverse_axis == "time"

    def test_published_counts_hold_for_published_options_only(self) -> None:
        row = network("cnn-vgg")
        assert row.with_options() is row
        assert row.with_options(dropout=0.1).parameters == {}

    def test_lists_of_toml_are_taken_for_tuples(self) -> None:
        assert network("spectral-base").with_options(channels=[8, 16]).options.channels == (8, 16)


class TestBuild:
    @pytest.mark.needs("tensorflow")
    def test_a_seed_gives_the_same_weights_in_keras(self) -> None:
        compute.prepare()
        weights = [
            [np.asarray(weight) for weight in build(network("routing"), 3, (196, 39), seed).weights]
            for seed in (1, 1, 2)
        ]
        for first, second in zip(weights[0], weights[1], strict=True):
            np.testing.assert_array_equal(first, second)
        assert any((a != b).any() for a, b in zip(weights[0], weights[2], strict=True))

    @pytest.mark.needs("torch")
    @pytest.mark.parametrize(
        ("name", "shape"), [("tim-tab1", (39, 188)), ("cnn-custom-32-8", (16_000,))]
    )
    def test_a_seed_gives_the_same_weights_in_torch(
        self, name: str, shape: tuple[int, ...]
    ) -> None:
        states = [build(network(name), 3, shape, seed).state_dict() for seed in (1, 1, 2)]
        assert all((states[0][key] == states[1][key]).all() for key in states[0])
        assert any((states[0][key] != states[2][key]).any() for key in states[0])

    def test_a_framework_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> Any:
            raise ImportError("No module named 'torch'")

        module = import_module("edge_ser.lab.architectures.networks")
        monkeypatch.setattr(module, "import_module", missing)
        with pytest.raises(DependencyError, match=r"tim-tab1 needs torch .* 'edge-ser\[torch\]'"):
            build(network("tim-tab1"), 7, (39, 188))
