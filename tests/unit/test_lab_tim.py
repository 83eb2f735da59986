"""TIM-Net and CkTIM-net: names, maths, other lengths, and what state dicts are refused."""

from __future__ import annotations

import contextlib
import math
import pickle
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.errors import DataError, ModelError, ModelNotFoundError
from edge_ser.lab.architectures import weights
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.architectures.options import TimOptions
from edge_ser.lab.architectures.weights import load_weights

with contextlib.suppress(ImportError):  # then every test here is left out
    import torch
    from torch.nn import functional

    from edge_ser.lab.architectures import continuous, kaf, kan, tim

pytestmark = pytest.mark.needs("torch")

SMALL = TimOptions(blocks=2, hidden_scale=0.25)
CONTINUOUS = replace(SMALL, continuous=True)
FRAMES = 40
TIM = network("cktim-tab2")


def seeded(options: TimOptions = CONTINUOUS, frames: int = FRAMES, classes: int = 7) -> Any:
    torch.manual_seed(0)
    return tim.build(options, classes, (39, frames))


def clips(count: int = 3, frames: int = FRAMES) -> Any:
    return torch.randn(count, 39, frames, generator=torch.Generator().manual_seed(1))


def norm_shapes(prefix: str, size: int) -> dict[str, tuple[int, ...]]:
    fields = ("weight", "bias", "running_mean", "running_var")
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}.{field}": (size,) for field in fields}
    return shapes | {f"{prefix}.num_batches_tracked": ()}


def kernel_shapes(prefix: str, hidden: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}.previous_length": (1,)}
    widths = {"input": (hidden, 1), "hidden": (hidden, hidden), "output": (1521, hidden)}
    for name, (outputs, inputs) in widths.items():
        layer = f"{prefix}.kernel_gen.linear_{name}"
        shapes[f"{layer}.bias"] = (outputs,)
        shapes[f"{layer}.parametrizations.weight.original0"] = (outputs, 1, 1)
        shapes[f"{layer}.parametrizations.weight.original1"] = (outputs, inputs, 1)
    for norm in ("batch_norm1", "batch_norm2"):
        shapes |= norm_shapes(f"{prefix}.kernel_gen.{norm}", hidden)
    return shapes


@pytest.mark.parametrize("kind", ["tim", "cktim"])
def test_state_dicts_have_the_published_keys_and_shapes(kind: str) -> None:
    options = TimOptions(blocks=3, continuous=kind == "cktim")
    wanted: dict[str, tuple[int, ...]] = {
        "ctim_net.weightsdyn_fun": (3, 1),
        "classifier.weight": (7, 39),
        "classifier.bias": (7,),
    }
    sites = [(f"ctim_net.conv_{way}", 1) for way in ("forward", "reverse")]
    for way in ("forward", "reverse"):
        for block in range(3):
            prefix = f"ctim_net.TempAw_Blocks_{way}.{block}"
            sites += [(f"{prefix}.conv1", 2), (f"{prefix}.conv2", 2)]
            wanted |= norm_shapes(f"{prefix}.batch_norm1", 39)
            wanted |= norm_shapes(f"{prefix}.batch_norm2", 39)
    for site, taps in sites:
        if options.continuous:
            wanted |= kernel_shapes(site, 32)
        else:
            wanted |= {f"{site}.weight": (39, 39, taps), f"{site}.bias": (39,)}
    state = seeded(options, 188).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == wanted
    assert len(wanted) == (43 + 100 * 3 if options.continuous else 7 + 28 * 3)
    for key, value in state.items():
        assert not key.endswith("previous_length") or value.tolist() == [188]


def direct_convolution(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Causal convolution as the published code has it."""
    return torch.nn.functional.conv1d(torch.nn.functional.pad(x, (kernel.shape[-1] - 1, 0)), kernel)


@given(frames=st.integers(1, 90), inputs=st.integers(1, 5), outputs=st.integers(1, 5))
@settings(max_examples=30)
def test_convolution_in_frequency_is_the_direct_one(frames: int, inputs: int, outputs: int) -> None:
    torch.manual_seed(frames)
    x, kernel = torch.randn(2, inputs, frames), torch.randn(outputs, inputs, frames)
    direct = direct_convolution(x, kernel)
    difference = (continuous.causal_convolution(x, kernel) - direct).abs().max()
    assert difference <= 1e-5 * direct.abs().max()


def test_convolution_in_frequency_is_the_direct_one_at_full_size() -> None:
    torch.manual_seed(0)
    x, kernel = 100 * torch.randn(4, 39, 188), torch.randn(39, 39, 188)
    direct = direct_convolution(x, kernel)
    difference = (continuous.causal_convolution(x, kernel) - direct).abs().max()
    assert difference <= 1e-5 * direct.abs().max()


def test_gradients_of_the_convolution_are_those_of_the_direct_one() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 11, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(4, 3, 11, dtype=torch.float64, requires_grad=True)
    towards = torch.randn(2, 4, 11, dtype=torch.float64)
    found = torch.autograd.grad(continuous.causal_convolution(x, kernel), (x, kernel), towards)
    wanted = torch.autograd.grad(direct_convolution(x, kernel), (x, kernel), towards)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


@given(st.integers(1, 5000))
def test_transforms_are_long_enough_and_not_much_longer(frames: int) -> None:
    assert 2 * frames - 1 <= continuous.transform_length(frames) <= max(1, 3 * frames)


@pytest.mark.parametrize(("frames", "end"), [(94, 0.98930), (188, 1.0), (376, 1.00535), (1, -1.0)])
def test_the_grid_ends_where_the_published_one_does(frames: int, end: float) -> None:
    assert continuous.grid_end(frames, 188) == pytest.approx(end, abs=5e-6)


def test_a_longer_clip_has_the_same_kernel_sampled_finer() -> None:
    convolution = seeded().eval().ctim_net.conv_forward
    torch.testing.assert_close(
        convolution.kernel(2 * FRAMES)[..., ::2], convolution.kernel(FRAMES), rtol=1e-4, atol=1e-5
    )
    assert convolution.previous_length.tolist() == [FRAMES]


@pytest.mark.parametrize("frames", [2, 23, FRAMES, 75])
@pytest.mark.parametrize("options", [SMALL, CONTINUOUS], ids=["tim", "cktim"])
def test_other_lengths_give_logits_from_the_embedding(options: TimOptions, frames: int) -> None:
    module = seeded(options).eval()
    x = clips(frames=frames)
    embedding = module.embed(x)
    assert embedding.shape == (3, 39)
    torch.testing.assert_close(module(x), module.classifier(embedding))
    assert module(x).shape == (3, 7)


@pytest.mark.parametrize("options", [SMALL, CONTINUOUS], ids=["tim", "cktim"])
def test_blocks_gate_their_input_and_see_the_past_alone(options: TimOptions) -> None:
    block = seeded(options).eval().ctim_net.TempAw_Blocks_forward[1]
    x = clips()
    changed = x.clone()
    changed[..., 25:] += 1.0
    y, other = block(x), block(changed)
    torch.testing.assert_close(y[..., :25], other[..., :25], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(y[..., 25:], other[..., 25:])
    gate = (y / x)[x.abs() > 1e-3]
    assert gate.min() >= 0.5 - 1e-4 and gate.max() <= 1 + 1e-4
    assert gate.std() > 1e-3


def test_a_block_looks_back_as_far_as_its_dilation() -> None:
    block = seeded().eval().ctim_net.TempAw_Blocks_forward[0]
    assert block.conv1(clips()).shape == (3, 39, FRAMES)
    plain = seeded(replace(SMALL, blocks=4)).eval().ctim_net.TempAw_Blocks_forward[3].conv1
    x = clips()
    padded = functional.pad(x, (8, 0))
    wanted = torch.einsum("oi,nit->not", plain.weight[..., 0], padded[..., :FRAMES])
    wanted += torch.einsum("oi,nit->not", plain.weight[..., 1], x) + plain.bias[:, None]
    torch.testing.assert_close(plain(x), wanted, rtol=1e-4, atol=1e-5)


def test_the_reverse_stream_hears_the_clip_backwards() -> None:
    module = seeded(SMALL).eval()
    state = module.state_dict()
    for key in state:
        if "forward" in key:
            state[key] = state[key.replace("forward", "reverse")]
    module.load_state_dict(state)
    torch.testing.assert_close(module(clips()), module(clips().flip(2)), rtol=1e-4, atol=1e-5)


def test_the_embedding_is_the_blocks_means_weighted() -> None:
    module = seeded(replace(SMALL, blocks=1)).eval()
    net = module.ctim_net
    x = clips()
    ahead = net.TempAw_Blocks_forward[0](net.conv_forward(x))
    back = net.TempAw_Blocks_reverse[0](net.conv_reverse(x.flip(2)))
    wanted = net.weightsdyn_fun[0, 0] * (ahead.mean(2) + back.mean(2))
    torch.testing.assert_close(module.embed(x), wanted)


def test_continuous_kernels_start_as_the_published_ones_do() -> None:
    module = seeded(TimOptions(blocks=1, continuous=True, dropout=0.3, omega_0=25.0), 188)
    first, inner = module.ctim_net.conv_forward, module.ctim_net.TempAw_Blocks_forward[0].conv2
    assert (first.kernel_gen.factor, first.kernel_gen.dropout) == (1.0, 0.1)
    assert (inner.kernel_gen.factor, inner.kernel_gen.dropout) == (25.0, 0.3)
    hidden = inner.kernel_gen.linear_hidden
    assert 0.17 < hidden.weight.abs().max() <= 1 / math.sqrt(32)
    assert 0.09 < hidden.bias.abs().max() <= 0.1
    assert not [name for name, _ in module.named_parameters() if name.endswith("conv1.bias")]


def test_kernel_values_are_dropped_in_training_alone() -> None:
    convolution = seeded().ctim_net.conv_reverse
    assert 0.09 < float((convolution.kernel(FRAMES) == 0).float().mean()) < 0.11
    assert int((convolution.eval().kernel(FRAMES) == 0).sum()) == 0


@pytest.mark.parametrize("generator", ["conv", "kan"])
@pytest.mark.parametrize("activation", ["sin", "relu", "kaf", "kafsin"])
def test_every_parameter_learns(generator: Any, activation: Any) -> None:
    options = TimOptions(
        blocks=1, continuous=True, generator=generator, activation=activation, hidden_scale=0.1
    )
    module = seeded(options, 12)
    module(clips(5, 12)).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    moved = [name for name, p in module.named_parameters() if p.grad.abs().max() > 0]
    assert len(moved) == len(list(module.parameters()))


@given(st.floats(-1.5, 1.5))
def test_splines_sum_to_one_between_the_knots(value: float) -> None:
    knots = torch.arange(-5.0, 6.0).double() / 5 * 1.5
    basis = kan.spline_basis(torch.tensor([value], dtype=torch.float64), knots)
    inside = float(knots[3]) <= value < float(knots[-4])
    assert basis.shape == (1, 7) and basis.min() >= 0
    if inside:
        assert float(basis.sum()) == pytest.approx(1.0)


def test_a_cubic_spline_has_its_known_values_at_the_knots() -> None:
    basis = kan.spline_basis(torch.tensor([3.0]), torch.arange(7.0))
    assert basis[0].tolist() == pytest.approx([1 / 6, 4 / 6, 1 / 6])


def test_a_kolmogorov_arnold_layer_sums_curves() -> None:
    torch.manual_seed(0)
    layer = kan.KanPointwise(3, 4)
    assert sum(p.numel() for p in layer.parameters()) == 10 * 3 * 4
    assert tuple(layer.grid.shape) == (1, 3, 12)
    x = torch.rand(1, 3, 6) * 2 - 1
    wanted = torch.zeros(1, 4, 6)
    for o in range(4):
        for i in range(3):
            splines = kan.spline_basis(x[0, i], layer.grid[0, i]) @ layer.spline_weight[0, o, i]
            wanted[0, o] += layer.base_weight[0, o, i] * functional.silu(x[0, i])
            wanted[0, o] += layer.spline_scaler[0, o, i] * splines
    torch.testing.assert_close(layer(x), wanted)


def test_kernel_activations_mix_gaussians_and_may_start_as_a_sine() -> None:
    x = torch.linspace(-4, 4, 50)[None, None]
    sine = kaf.Kaf(50, kaf.sine_coefficients())
    assert (sine(x) - x.sin()).abs().max() < 0.02
    single = kaf.Kaf(1, torch.eye(20)[7])
    atom = -4 + 7 * 8 / 19
    wanted = math.exp(-((1.0 - atom) ** 2) / (2 * (2 * 8 / 19) ** 2))
    assert single(torch.tensor([[[1.0]]])).item() == pytest.approx(wanted)
    assert kaf.Kaf(5000).coefficients.std().item() == pytest.approx(0.8, abs=0.01)


def test_kernel_activations_take_their_own_length_alone() -> None:
    module = seeded(replace(CONTINUOUS, activation="kaf")).eval()
    assert module(clips()).shape == (3, 7)
    with pytest.raises(DataError, match=r"41 frames, expected 40"):
        module(clips(frames=41))


@pytest.mark.parametrize(
    ("changed", "shape", "message"),
    [
        ({}, (40, 188), r"\(40, 188\), expected \(39, frames\)"),
        ({}, (39,), r"\(39,\), expected"),
        ({}, (39, 1), r"\(39, 1\), expected"),
        ({"blocks": 0}, (39, 188), "blocks = 0, expected 1 to 10"),
        ({"blocks": 11}, (39, 188), "blocks = 11"),
        ({"hidden_scale": 0.03}, (39, 188), "hidden_scale = 0.03"),
        ({"kernel_size": 0}, (39, 188), "kernel_size = 0"),
        ({"dropout": 1.0}, (39, 188), "dropout = 1.0"),
        ({"generator": "mlp"}, (39, 188), "generator = 'mlp', expected conv, kan"),
        ({"activation": "tanh"}, (39, 188), "activation = 'tanh', expected sin, relu, kaf"),
    ],
)
def test_what_cannot_be_built_is_said(changed: Any, shape: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        tim.build(replace(TimOptions(), **changed), 7, shape)
    assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="classes = 1"):
        tim.build(TimOptions(), 1)


def test_a_state_dict_comes_back_as_it_was(tmp_path: Path) -> None:
    first = seeded().eval()
    torch.save(first.state_dict(), tmp_path / "model.pt")
    second = tim.build(CONTINUOUS, 7, (39, 99)).eval()
    load_weights(second, tmp_path / "model.pt")
    assert torch.equal(first(clips()), second(clips()))


@pytest.mark.parametrize(
    ("saved", "classes", "message"),
    [
        (
            TimOptions(blocks=3),
            7,
            r"weightsdyn_fun has shape \(3, 1\), expected \(2, 1\); it fits tim-tab3 with 7",
        ),
        (TimOptions(blocks=2), 7, r"has no .*previous_length.*; it fits tim-tab2"),
        (replace(CONTINUOUS, hidden_scale=0.1), 7, r"; it fits cktim-scale0.1 with 7 classes"),
        (CONTINUOUS, 6, r"classifier.weight has shape \(6, 39\).* blocks = 2, continuous kernels "),
        (
            TimOptions(blocks=1, continuous=True, generator="kan"),
            7,
            "it fits ckktim-tab1 with 7 classes",
        ),
    ],
)
def test_another_architecture_is_named(
    tmp_path: Path, saved: TimOptions, classes: int, message: str
) -> None:
    path = tmp_path / "model.pt"
    torch.save(seeded(saved, FRAMES, classes).state_dict(), path)
    with pytest.raises(ModelError, match=message) as raised:
        load_weights(seeded(), path, TIM)
    assert "\n" not in str(raised.value)


def test_biases_of_continuous_convolutions_are_told(tmp_path: Path) -> None:
    state = seeded().state_dict()
    state["ctim_net.conv_forward.bias"] = torch.zeros(39)
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"conv_forward.bias, expected no such key; .*never have"):
        load_weights(seeded(), tmp_path / "model.pt", TIM)


class Foreign:
    """What reading weights only must not bring to life."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("touched"),))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "content",
    [b"", b"no weights", pickle.dumps(Foreign()), pickle.dumps({"a": 1})],
    ids=["empty", "text", "code", "old-pickle"],
)
def test_files_that_hold_no_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"expected a state dict: torch\.save") as raised:
        load_weights(seeded(), path, TIM)
    assert "\n" not in str(raised.value)
    assert not Path("touched").exists()


def test_a_damaged_state_dict_is_no_bug_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(seeded().state_dict(), path)
    whole = bytearray(path.read_bytes())
    rng = random.Random(0)
    start = whole.index(b"data.pkl")
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[start + rng.randrange(2_000)] = rng.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(ModelError):
            load_weights(seeded(), path, TIM)


def test_missing_other_and_oversized_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(ModelNotFoundError, match="no such file"):
        load_weights(seeded(), path, TIM)
    torch.save({"weights": [1, 2]}, path)
    with pytest.raises(ModelError, match="no tensors by name"):
        load_weights(seeded(), path, TIM)
    torch.save({"classifier.weight": torch.zeros(7)}, path)
    with pytest.raises(ModelError, match="name the network and the options"):
        load_weights(seeded(), path, TIM)
    monkeypatch.setattr(weights, "MAX_FILE", 100)
    with pytest.raises(ModelError, match="at most 100 are taken"):
        load_weights(seeded(), path, TIM)
