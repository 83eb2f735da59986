"""Whether what is timed is right: goldens that hold and fail, and clips the model has heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ser import zoo
from edge_ser.bench.correctness import goldens, labelled
from edge_ser.bench.workload import Item, Workload, open_workload
from edge_ser.card import Goldens, ModelCard, Provenance, read_model, write_model
from edge_ser.errors import ModelNotFoundError
from edge_ser.testing import tiny_card, write_tiny_model

LABELS = ("calm", "angry")


def clips(*labels: str | None) -> Workload:
    """Clips named 0, 1, ... with these labels, whose digest is their number."""
    items = [Item(f"{n}", b"", label, f"{n:016x}", 1.0, 16_000) for n, label in enumerate(labels)]
    return Workload("my clips", "folder", tuple(items))


def model(tmp_path: Path, heard: tuple[int, ...] = (), state: str = "trained") -> Path:
    """A model of the labels calm and angry that was trained on the clips of these numbers."""
    digests = tuple(f"{n:016x}" for n in heard)
    provenance = Provenance(state=state, training_clips=digests)  # type: ignore[arg-type]
    path = tmp_path / "tiny.onnx"
    card = tiny_card(LABELS, provenance=provenance)
    write_tiny_model(path, {"calm": 0.9, "angry": 0.1}, card)
    return path


def said(*labels: str) -> dict[str, str]:
    return {f"{n}": label for n, label in enumerate(labels)}


# goldens


def changed(tmp_path: Path, card: ModelCard) -> Path:
    """The default model with another card."""
    path = tmp_path / "changed.tflite"
    write_model(path, read_model(zoo.find_model(zoo.BENCHMARK_MODEL)).payload, card)
    return path


def card_of_plb(**changes: object) -> ModelCard:
    card = read_model(zoo.find_model(zoo.BENCHMARK_MODEL)).card
    assert card.goldens is not None
    return replace(card, goldens=replace(card.goldens, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["plb-emodb.tflite", "plb-emodb.onnx"])
def test_a_model_whose_goldens_hold_passes_with_its_differences(name: str) -> None:
    found = goldens(zoo.find_model(name))
    assert found["passed"] is True
    assert found["detail"].startswith("largest differences of what is allowed: features ")
    assert ", scores " in found["detail"]


def test_goldens_that_fail_say_which_stage_and_by_how_much(tmp_path: Path) -> None:
    card = read_model(zoo.find_model(zoo.BENCHMARK_MODEL)).card
    assert isinstance(card.goldens, Goldens)
    other = tuple(score + 0.25 for score in card.goldens.scores)
    found = goldens(changed(tmp_path, card_of_plb(scores=other)))
    assert found["passed"] is False
    assert found["detail"].startswith(
        "the model fails its check: scores differ by 0.25, 0.001 is allowed: worst for "
    )
    assert "\n" not in found["detail"]


def test_a_damaged_file_fails_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tflite"
    data = bytearray(zoo.find_model(zoo.BENCHMARK_MODEL).read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = goldens(path)
    assert found["passed"] is False
    assert found["detail"].startswith("the model fails its check: payload: ")


def test_a_card_without_goldens_passes_and_says_so(tmp_path: Path) -> None:
    found = goldens(model(tmp_path))
    assert found == {"passed": True, "detail": "the card has no goldens: nothing was compared"}


def test_a_provider_that_is_not_there_fails(tmp_path: Path) -> None:
    found = goldens(model(tmp_path), provider="openvino")
    assert found["passed"] is False
    assert "openvino" in found["detail"]


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        goldens(tmp_path / "none.tflite")


# labelled clips


def figures(
    tmp_path: Path,
    workload: Workload,
    predictions: Mapping[str, str],
    heard: tuple[int, ...] = (),
    state: str = "trained",
) -> tuple[object, object, object, object]:
    found = labelled(predictions, workload, model(tmp_path, heard, state))
    assert list(found) == ["accuracy", "uar", "clips", "protocol"]
    return found["accuracy"], found["uar"], found["clips"], found["protocol"]


def test_accuracy_and_mean_recall_of_clips_that_were_not_heard(tmp_path: Path) -> None:
    workload = clips("calm", "calm", "calm", "angry")
    found = figures(tmp_path, workload, said("calm", "calm", "angry", "angry"), heard=(99,))
    assert found == (0.75, pytest.approx(5 / 6), 4, "not in training")


def test_clips_that_were_heard_do_not_count(tmp_path: Path) -> None:
    workload = clips("calm", "calm", "angry", "angry")
    answers = said("calm", "angry", "calm", "angry")
    found = figures(tmp_path, workload, answers, heard=(0, 3))
    assert found == (0.0, 0.0, 2, "not in training")


def test_clips_that_were_all_heard_give_no_figures(tmp_path: Path) -> None:
    workload = clips("calm", "angry")
    found = figures(tmp_path, workload, said("calm", "angry"), heard=(0, 1, 7))
    assert found == (None, None, 0, "seen in training")


def test_a_card_that_does_not_list_its_clips_leaves_it_unknown(tmp_path: Path) -> None:
    found = figures(tmp_path, clips("calm", "angry"), said("calm", "calm"))
    assert found == (0.5, 0.5, 2, "unknown")


def test_only_clips_that_were_classified_count(tmp_path: Path) -> None:
    workload = clips("calm", "angry", "angry")
    found = figures(tmp_path, workload, {"1": "angry"}, heard=(9,))
    assert found == (1.0, 1.0, 1, "not in training")
    assert figures(tmp_path, workload, {}, heard=(9,)) == (None, None, 0, "no labels")


@pytest.mark.parametrize("label", [None, "surprise"])
def test_labels_that_are_missing_or_unknown_to_the_model(tmp_path: Path, label: str | None) -> None:
    found = figures(tmp_path, clips(label, label), said("calm", "angry"), heard=(9,))
    assert found == (None, None, 0, "no labels")
    mixed = figures(tmp_path, clips("calm", label), said("calm", "angry"), heard=(9,))
    assert mixed == (1.0, 1.0, 1, "not in training")


def test_an_untrained_model_has_no_accuracy(tmp_path: Path) -> None:
    found = figures(tmp_path, clips("calm"), said("calm"), state="untrained")
    assert found == (None, None, 0, "untrained")


@pytest.mark.needs("emodb")
def test_the_shipped_model_has_heard_all_of_emodb(corpus: object) -> None:
    workload = open_workload(str(corpus("emodb")), 20)  # type: ignore[operator]
    answers = {item.name: str(item.label) for item in workload.items}
    found = labelled(answers, workload, zoo.find_model(zoo.BENCHMARK_MODEL))
    assert found == {"accuracy": None, "uar": None, "clips": 0, "protocol": "seen in training"}
