"""CkTIM folded for a board: every form has the network's logits, and leaves as ONNX."""

from __future__ import annotations

import contextlib
import copy
import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DataError, ModelError
from edge_ser.lab.architectures.options import TimOptions

with contextlib.suppress(ImportError):  # then every test here is left out
    import torch

    from edge_ser.lab.architectures import tim
    from edge_ser.lab.export import folding

pytestmark = pytest.mark.needs("torch")

quiet_export = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:Constant folding - Only steps=1"
)
"""Torch's older exporter says that it is older, and that it leaves paddings to the runtime."""
FRAMES = 48
OPTIONS = TimOptions(blocks=2, continuous=True, hidden_scale=0.25)
FORMS = ("low-rank", "dft", "convolution")


def features(count: int = 3, frames: int = FRAMES) -> Any:
    """Of the scale of MFCCs: c0 around -300, the others less and less."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 39, frames, generator=generator)
    x *= torch.linspace(60, 5, 39)[:, None]
    x[:, 0] -= 300
    return x


def trained(options: TimOptions = OPTIONS) -> Any:
    """Random weights, batch statistics as training leaves them, logits of usual size."""
    return copy.deepcopy(settled(options))


@functools.cache
def settled(options: TimOptions) -> Any:
    torch.manual_seed(0)
    module = tim.build(options, 7, (39, FRAMES)).train()
    with torch.no_grad():
        for _ in range(60):
            module(features(8))
        module.eval()
        module.classifier.weight *= 10 / module(features(8)).abs().max()
    return module


def only(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = folding._candidates
    monkeypatch.setattr(
        folding, "_candidates", lambda *given: (c for c in candidates(*given) if c[0] == form)
    )


@pytest.mark.parametrize("frames", [FRAMES, 29, 70])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_logits_at_any_length(
    form: str, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(form, monkeypatch)
    module, x = trained(), features(frames=frames)
    result, report = folding.folded(module, frames, x)
    with torch.no_grad():
        difference = (result(x) - module(x)).abs().max()
        torch.testing.assert_close(result.embed(x), module.embed(x), rtol=1e-3, atol=1e-3)
    assert difference <= 1e-3
    assert (report.form, report.frames) == (form, frames)
    assert report.difference == pytest.approx(float(difference), abs=1e-6)
    assert (report.rank > 0) == (form == "low-rank")


def test_low_rank_is_taken_first_and_its_residual_is_true() -> None:
    module = trained()
    result, report = folding.folded(module, FRAMES, features())
    assert report.form == "low-rank" and 3 <= report.rank <= 24
    assert 0 < report.residual <= 1e-5
    first = result.convolutions[0]
    lags = torch.zeros(1, 1, 1, FRAMES)
    lags[..., 0] = 1.0
    curves = (lags @ first.toeplitz()).reshape(report.rank, FRAMES).double()
    errors = []
    with torch.no_grad():
        stages = folding._stages(module, FRAMES)
    for stage, convolution in zip(stages, result.convolutions, strict=True):
        mixing = convolution.mixing.double().reshape(2, 39, 39, report.rank)
        error = (mixing @ curves - stage.kernel).flatten(1).norm(dim=1)
        errors.append(error / stage.kernel.flatten(1).norm(dim=1))
    # The float32 of curves and mixing adds its rounding.
    assert torch.cat(errors).max().item() == pytest.approx(report.residual, abs=3e-7)


def test_curves_alone_make_the_causal_matrix() -> None:
    basis = torch.arange(1.0, 11.0).reshape(2, 5)
    matrix = folding._Toeplitz(basis)().reshape(5, 2, 5)
    for s in range(5):
        for t in range(5):
            wanted = basis[:, t - s] if t >= s else torch.zeros(2)
            torch.testing.assert_close(matrix[s, :, t], wanted)


def test_a_closer_rank_is_tried_before_another_form(monkeypatch: pytest.MonkeyPatch) -> None:
    module = trained()
    monkeypatch.setattr(folding, "RESIDUALS", (0.5, 1e-6))
    _, report = folding.folded(module, FRAMES, features())
    assert report.form == "low-rank" and report.residual <= 1e-6


def test_kernels_of_too_high_a_rank_take_the_dft_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_RANK", 3)
    _, report = folding.folded(trained(), FRAMES, features())
    assert (report.form, report.rank, report.residual) == ("dft", 0, 0.0)


def test_where_no_form_keeps_the_logits_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    module = trained()
    monkeypatch.setattr(folding, "MAX_DIFFERENCE", 0.0)
    monkeypatch.setattr(folding, "ROUNDING", 0.0)
    with pytest.raises(ModelError, match=r"logits differ by .*, expected at most 0.0e\+00"):
        folding.folded(module, FRAMES, features())


def test_weights_that_are_not_finite_are_told() -> None:
    module = trained()
    with torch.no_grad():
        module.classifier.bias[2] = float("nan")
    with pytest.raises(ModelError, match="not all finite"):
        folding.folded(module, FRAMES, features())


@pytest.mark.parametrize("shape", [(39, 48), (1, 39, 47), (1, 38, 48)])
def test_examples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"expected \(clips, 39, 48\)"):
        folding.folded(trained(), FRAMES, torch.zeros(shape))


def test_the_network_stays_as_it_was() -> None:
    module = trained().train()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    folding.folded(module, FRAMES, features())
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_a_residual_is_summed_to_the_last_curve() -> None:
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q.T
    sizes = torch.tensor([1.0, 1e-3, 1e-6, 0.0, 0.0, 0.0], dtype=torch.float64)
    kernel = (torch.randn(4, 4, 6).double().sign() * sizes) @ basis
    stage = folding._Stage(kernel[None], torch.zeros(1, 4, 1))
    rank, residual = folding._rank([stage], folding._curves([stage]), 1e-4)
    # Signs alike in no two columns leave a curve's size what it is, up to their overlap.
    assert rank == 2 and 1e-7 < residual < 1e-5
    assert folding._rank([stage], folding._curves([stage]), 1e-2)[0] == 1


def exported(module: Any, example: Any, path: Path) -> Any:
    import onnxruntime

    torch.onnx.export(
        module, (example,), str(path), dynamo=False, opset_version=17, input_names=["features"]
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"features": x.numpy()})[0]


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.needs("onnx")
@quiet_export
@pytest.mark.parametrize("form", ["none", *FORMS])
def test_exported_networks_have_the_eager_logits(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    options = replace(OPTIONS, continuous=form != "none")
    if options.continuous:
        only(form, monkeypatch)
    module, x = trained(options), features(6)
    result, report = folding.folded(module, FRAMES, x)
    assert report.form == form
    run = exported(result, x[:1], tmp_path / "model.onnx")
    with torch.no_grad():
        wanted = module(x).numpy()
    found = np.concatenate([run(clip) for clip in x.split(1)])
    assert np.abs(found - wanted).max() <= (1e-3 if options.continuous else 1e-4)
    assert np.abs(softmax(found) - softmax(wanted)).max() <= 1e-4
    graph = onnx.load(tmp_path / "model.onnx").graph
    # No generator, and no arithmetic on shapes, is left for the board.
    assert not {node.op_type for node in graph.node} & {"Sin", "Shape", "DFT", "Loop", "If"}


@pytest.mark.needs("onnx")
@quiet_export
def test_the_matrix_of_curves_is_left_to_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("low-rank", monkeypatch)
    result, report = folding.folded(trained(), FRAMES, features())
    exported(result, features(1), tmp_path / "model.onnx")
    curves = 4 * 2 * FRAMES * report.rank
    each = 4 * 2 * 39 * 39 * report.rank
    size = (tmp_path / "model.onnx").stat().st_size
    assert curves + 5 * each < size < curves + 5 * each + 20_000
