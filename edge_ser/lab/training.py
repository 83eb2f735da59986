"""Training with the published recipe: seeded, resumable at epoch boundaries, in a run folder."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edge_ser.errors import DataError
from edge_ser.lab import architectures
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.protocols import Split
from edge_ser.lab.recipe import Recipe, learning_rate

__all__ = ["Dataset", "Recipe", "learning_rate", "margin_loss", "predict", "train"]

Tensor = Any

MSE_WEIGHT = 0.392


@keras.saving.register_keras_serializable(package="edge_ser")  # type: ignore[untyped-decorator]
def margin_loss(targets: Tensor, scores: Tensor) -> Tensor:
    """Capsule margin loss on softmax outputs plus 0.392 x mean squared error, per example."""
    present = targets * ops.square(ops.maximum(0.0, 0.9 - scores))
    absent = 0.5 * (1.0 - targets) * ops.square(ops.maximum(0.0, scores - 0.1))
    squared = ops.mean(ops.square(targets - scores), axis=-1)
    return ops.sum(present + absent, axis=-1) + MSE_WEIGHT * squared


def train(
    recipe: Recipe,
    data: Dataset,
    split: Split,
    folder: Path,
    report: Callable[[dict[str, float]], None] = lambda row: None,
) -> keras.Model:
    """Train on `split.train`, or go on where a killed run stopped.

    `folder` gets recipe.json, split.json, metrics.jsonl (one line an epoch), last.keras and
    predictions.json (scores of the test clips at the last epoch). The same recipe, data and split
    give the same weights whether or not the run was interrupted.

    Raises:
        DataError: the folder holds a run of another recipe or split, or the loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder / "recipe.json", asdict(recipe))
    _claim(folder / "split.json", asdict(split))
    index = {name: i for i, name in enumerate(data.names)}
    train_at = np.array([index[name] for name in split.train])
    test_at = np.array([index[name] for name in split.test], dtype=np.int64)
    features = data.features[..., None]
    targets = np.eye(len(data.classes), dtype=np.float32)[data.labels]
    smoothed = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / len(data.classes)

    steps = math.ceil(len(train_at) / recipe.batch)
    model = _resume(folder, recipe, len(data.classes))
    done = int(model.optimizer.iterations) // steps
    rows = _read_metrics(folder / "metrics.jsonl")[:done]
    for epoch in range(done, recipe.epochs):
        order = train_at[_seed_epoch(model, recipe.seed, epoch).permutation(len(train_at))]
        model.optimizer.learning_rate = learning_rate(recipe, epoch)
        history = model.fit(
            features[order], smoothed[order], recipe.batch, shuffle=False, verbose=0
        ).history
        row = {"epoch": epoch, **{key: float(values[-1]) for key, values in history.items()}}
        if not math.isfinite(row["loss"]):
            raise DataError(f"{folder}: the loss of epoch {epoch} is {row['loss']}; lower the rate")
        last = epoch + 1 == recipe.epochs
        if len(test_at) and (last or (epoch + 1) % recipe.evaluate_every == 0):
            scores = predict(model, features[test_at], recipe.batch)
            row |= _measure(scores, data.labels[test_at], recipe.batch)
            if recipe.keep_best and row["test_wa"] > max(r.get("test_wa", 0) for r in [*rows, {}]):
                _save(model, folder / "best.keras")
            if last:
                _write_predictions(folder, split.test, scores)
        rows.append(row)
        _write_text(folder / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
        _save(model, folder / "last.keras")
        report(row)
    return model


def predict(model: keras.Model, features: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    """Scores of features with shape (clips, frames, coefficients, 1)."""
    scores: NDArray[np.float32] = model.predict(features, batch_size=batch, verbose=0)
    return scores


def _resume(folder: Path, recipe: Recipe, classes: int) -> keras.Model:
    """The model and optimizer of the last whole epoch, or fresh ones."""
    saved = folder / "last.keras"
    if saved.exists():
        return keras.saving.load_model(saved, safe_mode=True)
    keras.utils.set_random_seed(recipe.seed)
    model = architectures.build(recipe.architecture, classes)
    optimizer = keras.optimizers.Adam(
        recipe.learning_rate, beta_1=0.975, beta_2=0.932, epsilon=1e-8
    )
    model.compile(optimizer, margin_loss, metrics=["accuracy"], jit_compile=False)
    return model


def _seed_epoch(model: keras.Model, seed: int, epoch: int) -> np.random.Generator:
    """Set every dropout's generator from (seed, epoch); return the generator of the shuffle."""
    children = np.random.SeedSequence([seed, epoch]).spawn(2)
    states = np.random.default_rng(children[0])
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(states.integers(0, 2**32, 2, dtype=np.uint32))
    return np.random.default_rng(children[1])


def _measure(
    scores: NDArray[np.float32], labels: NDArray[np.int64], batch: int
) -> dict[str, float]:
    """Plain accuracy and UAR, and the published WA: the mean of the accuracies of batches."""
    right = scores.argmax(axis=1) == labels
    batches = [right[i : i + batch].mean() for i in range(0, len(right), batch)]
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    return {
        "test_accuracy": float(right.mean()),
        "test_uar": float(np.mean(recalls)),
        "test_wa": float(np.mean(batches)),
    }


def _write_predictions(folder: Path, names: list[str], scores: NDArray[np.float32]) -> None:
    rows = {
        name: [round(float(p), 6) for p in row] for name, row in zip(names, scores, strict=True)
    }
    _write_text(folder / "predictions.json", json.dumps(rows, indent=0) + "\n")


def _claim(path: Path, wanted: dict[str, Any]) -> None:
    """Write what this run is; refuse a folder that holds another."""
    text = json.dumps(wanted, indent=1) + "\n"
    if path.exists() and path.read_text() != text:
        raise DataError(
            f"{path} is of another run: give another folder, or remove this one to start afresh"
        )
    _write_text(path, text)


def _read_metrics(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _save(model: keras.Model, path: Path) -> None:
    """Model and optimizer in one file, written beside and renamed."""
    part = path.with_name(f"{path.stem}.part.keras")
    model.save(part)
    os.replace(part, path)


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)
