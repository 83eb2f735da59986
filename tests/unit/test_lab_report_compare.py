"""Run folders read, and compared by what differs between them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import DataError, UsageError
from edge_ser.lab.report import RunRecord, compare, read_record, tables
from edge_ser.lab.report.compare import MISSING
from edge_ser.lab.report.notes import notes

from .lab_report_runs import (
    CLASSES,
    Maker,
    made_fixture,  # noqa: F401 for pytest to find
    make_run,
)


class TestRecord:
    def test_a_finished_run(self, made: Maker) -> None:
        run = made(right="abc")
        assert (run.name, run.fold, run.epochs, run.protocol) == (
            "run-00",
            "grouped-01",
            2,
            "grouped",
        )
        assert (run.test, run.speakers, run.classes) == (("a", "b", "c", "d"), ("ann",), CLASSES)
        assert run.settings["network.blocks"] == 1
        assert run.scores is not None and run.true is not None
        assert run.true.tolist() == [0, 0, 1, 1]
        assert run.scores.argmax(axis=1).tolist() == [0, 0, 1, 0]
        assert run.finished

    def test_one_under_way_has_no_scores(self, made: Maker) -> None:
        run = made(right=None, epochs=9)
        assert (run.finished, run.scores, run.true) == (False, None, None)

    def test_one_whose_predictions_are_still_to_come_is_not_finished(self, made: Maker) -> None:
        assert not made(right=None).finished

    def test_one_that_tests_nothing_is_finished_without(self, made: Maker) -> None:
        assert made(clips={}, right=None, accuracies=(None, None), protocol="whole").finished

    def test_parameters_of_a_published_network_by_its_options(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", network={"blocks": 3})
        text = (folder / "config.toml").read_text()
        seven = ", ".join(f'"{n}"' for n in ("calm", "cross", *"abcde"))
        (folder / "config.toml").write_text(text.replace('"calm", "cross"', seven))
        (folder / "predictions.json").unlink()
        assert read_record(folder).parameters == 41_311

    def test_parameters_of_another_number_of_classes_are_not_known(self, made: Maker) -> None:
        assert made().parameters is None

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("config.toml", "name =", "config.toml"),
            ("split.json", "[]", "split.json|argument"),
            ("split.json", "{}", "has no name"),
            ("metrics.jsonl", '{"epoch": 1}\n', "line 1 is not of epoch 0"),
            ("metrics.jsonl", '{"epoch": 0, "loss": NaN}\n', "not finite"),
            ("metrics.jsonl", '{"epoch": 0, "loss": "low"}\n', "no finite number"),
            ("metrics.jsonl", "7\n", "line 1"),
            ("predictions.json", '{"a": [1, 0]}', "not of split.json"),
            ("predictions.json", '{"a": [1], "b": [1], "c": [1], "d": [1]}', "2 probabilities"),
            ("predictions.json", '{"a": 1, "b": [1], "c": [1], "d": [1]}', "expected"),
            ("predictions.json", "[" * 100_000, "expected"),
        ],
    )
    def test_what_does_not_hold_together_is_one_line(
        self, tmp_path: Path, name: str, text: str, said: str
    ) -> None:
        folder = make_run(tmp_path / "run")
        (folder / name).write_text(text)
        with pytest.raises(DataError, match=said) as caught:
            read_record(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_names_that_are_none(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", right=None, epochs=5)
        split = json.loads((folder / "split.json").read_text())
        (folder / "split.json").write_text(json.dumps({**split, "test": ["a", "a"]}))
        with pytest.raises(DataError, match=r"test of split\.json has a name twice"):
            read_record(folder)
        (folder / "split.json").write_text(json.dumps({**split, "test": [1]}))
        with pytest.raises(DataError, match=r"test of split\.json is no list of names"):
            read_record(folder)

    def test_a_folder_without_a_run(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no config\.toml in it, expected a run folder"):
            read_record(tmp_path)

    def test_a_file_beyond_reason(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = make_run(tmp_path / "run")
        monkeypatch.setattr("edge_ser.lab.runs.MOST_BYTES", 10)
        with pytest.raises(DataError, match="over 10 bytes"):
            read_record(folder)


class TestCompare:
    def test_folds_and_seeds_are_one_experiment(self, made: Maker) -> None:
        runs = [
            made(fold="grouped-01", seed=1, accuracies=(0.1, 0.6)),
            made(fold="grouped-02", seed=1, accuracies=(0.1, 0.8)),
            made(fold="grouped-01", seed=2, accuracies=(0.1, 0.7)),
            made(fold="grouped-02", seed=2, accuracies=(0.1, 0.9)),
        ]
        found = compare(runs)
        (group,) = found.groups
        assert (found.keys, group.values) == ((), {})
        assert (group.folds, group.seeds) == (("grouped-01", "grouped-02"), (1, 2))
        over = group.spread("kept", "accuracy")
        assert over is not None
        assert over.mean == pytest.approx(0.75)
        assert over.std == pytest.approx(math.sqrt(0.05 / 3))
        # the seeds' means are 0.7 and 0.8
        assert group.over_seeds("kept", "accuracy") == pytest.approx(0.1 / math.sqrt(2))

    def test_over_seeds_goes_by_common_folds(self, made: Maker) -> None:
        runs = [
            made(fold="grouped-01", seed=1, accuracies=(0.6,)),
            made(fold="grouped-02", seed=1, accuracies=(0.1,)),
            made(fold="grouped-01", seed=2, accuracies=(0.8,)),
        ]
        (group,) = compare(runs).groups
        assert group.over_seeds("kept", "accuracy") == pytest.approx(0.2 / math.sqrt(2))
        (lone,) = compare(runs[:2]).groups
        assert lone.over_seeds("kept", "accuracy") is None

    def test_what_differs_tells_apart_numbers_in_order(self, made: Maker) -> None:
        omegas = (30.0, 4.0, 25.0)
        runs = [made(network={"omega_0": w, "continuous": True}) for w in omegas]
        found = compare(runs)
        assert found.keys == ("network.omega_0",)
        assert [group.values["network.omega_0"] for group in found.groups] == [4.0, 25.0, 30.0]
        assert found.common["network.continuous"] is True
        assert "training.seed" in found.common

    def test_an_augmentation_and_none(self, made: Maker) -> None:
        runs = [made(), made(augmentation={"mode": "copies", "step": [{"name": "reverse"}]})]
        found = compare(runs)
        assert found.keys == ("augmentation.mode", "augmentation.step")
        assert [g.values["augmentation.mode"] for g in found.groups] == ["copies", MISSING]
        head, rows = tables.figures_table(found)
        assert head[:2] == ("mode", "step")
        assert rows[0][:2] == ("copies", "reverse")

    def test_how_often_one_looks_and_what_is_saved_too_tell_nothing_apart(
        self, made: Maker
    ) -> None:
        runs = [made(), made(evaluate_every=7, keep="best_test")]
        assert len(compare(runs).groups) == 1
        assert len(compare([*runs, made(keep="best_validation")]).groups) == 2

    def test_epochs_have_a_column_anyway(self, made: Maker) -> None:
        found = compare([made(accuracies=(0.5,)), made(accuracies=(0.5, 0.5, 0.75))])
        assert (found.keys, len(found.groups)) == ((), 2)
        assert [tables.label(found, group) for group in found.groups] == ["1 epochs", "3 epochs"]

    def test_by_a_key_alone(self, made: Maker) -> None:
        runs = [
            made(network={"blocks": blocks, "omega_0": omega})
            for blocks in (1, 3)
            for omega in (24.0, 25.0)
        ]
        found = compare(runs, ["blocks"])
        assert found.keys == ("network.blocks",)
        assert [len(group.runs) for group in found.groups] == [2, 2]
        assert found.varied == ("network.omega_0",)
        assert any("network.omega_0" in said for said in notes(found))

    def test_by_a_key_that_is_none(self, made: Maker) -> None:
        run = made()
        with pytest.raises(UsageError, match="did you mean omega_0"):
            compare([run], ["omega"])
        with pytest.raises(UsageError, match=r"expected one key.*network\.name or protocol\.name"):
            compare([run], ["name"])
        with pytest.raises(UsageError, match="no run to report on"):
            compare([])

    def test_many_differences_that_go_along_are_left_to_a_note(self, made: Maker) -> None:
        many = {"beta_1": 0.8, "beta_2": 0.8, "batch": 8, "learning_rate": 0.1, "epsilon": 0.1}
        more = {"weight_decay": 0.1, "label_smoothing": 0.1}
        found = compare([made(), made(**many, **more)])
        assert found.keys == ("training.batch",)
        assert len(found.along) == 6
        assert any("training.beta_2" in said for said in notes(found))

    def test_what_a_name_tells_has_no_column(self, made: Maker) -> None:
        names = ("tim-tab3", "cktim-tab1", "tim-tab6")
        runs = [
            made(network={"name": name}, protocol=protocol)
            for name in names
            for protocol in ("loso", "stratified")
        ]
        found = compare(runs)
        assert found.keys == ("network.name", "protocol.name")
        assert found.along == ("network.blocks", "network.continuous")
        head, rows = tables.figures_table(found)
        assert head[:2] == ("network", "protocol")
        assert rows[0][:2] == ("cktim-tab1", "loso")
        other = made(network={"name": "tim-tab3", "blocks": 4}, protocol="loso")
        assert "network.blocks" in compare([*runs, other]).keys

    def test_a_label_says_no_more_than_is_needed(self, made: Maker) -> None:
        runs = [
            made(network={"name": "tim-tab1"}),
            made(network={"name": "cktim-tab6", "omega_0": 24.0}),
            made(network={"name": "cktim-tab6"}),
        ]
        found = compare(runs)
        said = [tables.label(found, group) for group in found.groups]
        assert said == ["cktim-tab6, omega_0 24", "cktim-tab6, omega_0 25", "tim-tab1, omega_0 25"]

    @given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)), min_size=1))
    def test_every_run_is_in_one_group_and_its_values_are_the_groups(
        self, drawn: list[tuple[int, int, int]]
    ) -> None:
        runs = [bare(fold, seed, blocks) for fold, seed, blocks in drawn]
        found = compare(runs)
        assert sorted(map(id, found.runs)) == sorted(map(id, runs))
        for group in found.groups:
            for run in group.runs:
                assert all(run.settings[key] == value for key, value in group.values.items())
        assert len(found.groups) == len({blocks for _, _, blocks in drawn})


def bare(fold: int, seed: int, blocks: int) -> RunRecord:
    settings = {
        "network.blocks": blocks,
        "protocol.name": "grouped",
        "training.epochs": 1,
        "training.seed": seed,
        "training.keep": "last",
    }
    return RunRecord(Path("x"), settings, f"grouped-{fold}", (), (), (), CLASSES, None, None, None)
