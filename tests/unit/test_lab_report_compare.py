"""Runs compared: figures by hand, groups by configuration, every form of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import DataError, UsageError
from edge_ser.lab.experiment import from_tables
from edge_ser.lab.protocols import Split
from edge_ser.lab.report import (
    RunRecord,
    classification,
    compare,
    document,
    html,
    markdown,
    read_record,
    tables,
)
from edge_ser.lab.report.compare import MISSING
from edge_ser.lab.report.figures import LATE, best, kept, last, late, looks, wilson, wilson_mean
from edge_ser.lab.report.notes import notes, protocols, warnings
from edge_ser.lab.report.pooling import pooled
from edge_ser.lab.runs import claim, write_predictions, write_rows

CLASSES = ("calm", "cross")
CLIPS = {"a": "calm", "b": "calm", "c": "cross", "d": "cross"}

Maker = Callable[..., RunRecord]


def make_run(
    folder: Path,
    fold: str = "grouped-01",
    right: str | None = "abcd",
    clips: Mapping[str, str] = CLIPS,
    accuracies: Sequence[float | None] = (0.5, 0.75),
    epochs: int | None = None,
    network: Mapping[str, Any] | None = None,
    protocol: str = "grouped",
    augmentation: Mapping[str, Any] | None = None,
    labelled: bool = True,
    **training: Any,
) -> Path:
    """A run folder as training leaves it.

    right: clips that are answered rightly; None before the end.
    accuracies: of the test clips, an epoch each; None where they were not looked at.
    """
    experiment = from_tables(
        {
            "data": {"corpus": "mine", "labels": CLASSES},
            "network": {"name": "tim-tab1", **(network or {})},
            "protocol": {"name": protocol},
            "training": {"epochs": epochs or len(accuracies), "evaluate_every": 1, **training},
            "augmentation": dict(augmentation or {}),
        },
        "made",
        "made.toml",
    )
    split = Split(
        fold, ["t"], sorted(clips), [], ["ann"], {**clips, "t": "calm"} if labelled else {}
    )
    folder.mkdir(parents=True)
    claim(folder, experiment, split)
    rows: list[dict[str, float]] = []
    for epoch, accuracy in enumerate(accuracies):
        row = {"epoch": epoch, "loss": 1.0 / (epoch + 1), "accuracy": 0.25, "rate": 0.001}
        tested = {} if accuracy is None else {"test_accuracy": accuracy, "test_uar": accuracy / 2}
        rows.append({**row, **tested})
    write_rows(folder, rows)
    if right is not None:
        scores = [
            [0.75, 0.25] if (clips[name] == "calm") == (name in right) else [0.25, 0.75]
            for name in split.test
        ]
        write_predictions(folder, split.test, np.array(scores, dtype=np.float32))
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    """Makes a run folder of its own and reads it."""

    def make(**chosen: Any) -> RunRecord:
        name = f"run-{len(list(tmp_path.iterdir())):02d}"
        return read_record(make_run(tmp_path / name, **chosen))

    return make


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
            ("split.json", "{}", "expected"),
            ("metrics.jsonl", '{"epoch": 1}\n', "line 1 is not of epoch 0"),
            ("metrics.jsonl", '{"epoch": 0, "loss": NaN}\n', "no finite number"),
            ("metrics.jsonl", '{"epoch": 0, "loss": "low"}\n', "no finite number"),
            ("metrics.jsonl", "7\n", "line 1"),
            ("predictions.json", '{"a": [1, 0]}', "not of split.json"),
            ("predictions.json", '{"a": [1], "b": [1], "c": [1], "d": [1]}', "2 scores"),
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
        monkeypatch.setattr("edge_ser.lab.report.records.MOST_BYTES", 10)
        with pytest.raises(DataError, match="over 10 bytes"):
            read_record(folder)


class TestFigures:
    def test_which_epoch_is_told(self, made: Maker) -> None:
        run = made(accuracies=[0.9, *[0.5] * LATE, 0.7])
        assert (found := last(run)) and (found.accuracy, found.uar, found.epoch) == (0.7, 0.35, 22)
        assert (found := best(run)) and (found.accuracy, found.epoch) == (0.9, 1)
        # epochs 3 to 22: nineteen of 0.5 and one of 0.7
        assert (found := late(run)) and found.accuracy == pytest.approx(0.51)
        assert kept(run) == last(run)
        assert len(looks(run)) == 22

    def test_the_first_of_equal_epochs_is_best(self, made: Maker) -> None:
        assert (found := best(made(accuracies=(0.5, 0.75, 0.75)))) and found.epoch == 2

    def test_an_epoch_that_was_not_looked_at_has_none(self, made: Maker) -> None:
        run = made(accuracies=(0.5, None))
        assert last(run) is None
        assert (found := late(run)) and found.accuracy == 0.5
        assert (best(nothing := made(accuracies=(None,))), late(nothing)) == (None, None)

    def test_of_a_run_that_chose_by_validation_the_kept_weights_are_told(self, made: Maker) -> None:
        run = made(right="abc", keep="best_validation", accuracies=(0.25, 0.25))
        found = kept(run)
        assert found is not None
        assert (found.accuracy, found.uar) == (0.75, 0.75)
        assert kept(made(right=None, keep="best_validation", epochs=3)) is None

    def test_wilson_by_hand(self) -> None:
        # p = 8/10, z = 1.96: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
        assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
        low, high = wilson(0.0, 10)
        assert (low, high) == (0.0, pytest.approx(0.2775, abs=1e-4))

    def test_mean_of_two_recalls_by_hand(self) -> None:
        # wilson(0.8, 10) twice: the distances 0.3098 and 0.1433, over sqrt(2)
        low, high = wilson_mean([0.8, 0.8], [10, 10])
        assert (low, high) == pytest.approx((0.8 - 0.2191, 0.8 + 0.1013), abs=2e-4)

    @pytest.mark.parametrize(("share", "n"), [(1.5, 10), (-0.1, 10), (0.5, 0), (math.nan, 3)])
    def test_no_share(self, share: float, n: int) -> None:
        with pytest.raises(DataError, match="expected 0 to 1 of at least one"):
            wilson(share, n)

    @given(st.floats(0, 1), st.integers(1, 10_000))
    def test_wilson_holds_the_share_and_narrows(self, share: float, n: int) -> None:
        low, high = wilson(share, n)
        assert 0 <= low <= share <= high <= 1
        closer_low, closer_high = wilson(share, 4 * n)
        assert closer_high - closer_low < high - low
        mirrored = wilson(1 - share, n)
        assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)

    @given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 500)), min_size=1, max_size=8))
    def test_the_mean_lies_within_its_interval(self, given: list[tuple[float, int]]) -> None:
        shares, counts = [s for s, _ in given], [n for _, n in given]
        low, high = wilson_mean(shares, counts)
        assert -1e-9 <= low <= sum(shares) / len(shares) + 1e-9 <= high + 2e-9
        assert high <= 1 + 1e-9
        if len(given) == 1:
            assert (low, high) == pytest.approx(wilson(shares[0], counts[0]))


class TestPooled:
    def test_two_folds(self, made: Maker) -> None:
        # of 3 calm clips 2 are right, of 3 cross ones 1
        one = made(clips={"a": "calm", "b": "calm", "c": "cross"}, right="ab")
        two = made(fold="grouped-02", clips={"d": "calm", "e": "cross", "f": "cross"}, right="e")
        found = pooled([one, two])
        assert found is not None
        assert (found.clips, found.accuracy, found.uar) == (6, 0.5, pytest.approx(0.5))
        assert found.confusion == ((2, 1), (2, 1))
        assert found.accuracy_interval == wilson(0.5, 6)
        assert found.uar_interval == wilson_mean([2 / 3, 1 / 3], [3, 3])
        # confidence is 0.75 throughout, half is right
        assert found.ece == pytest.approx(0.25)
        assert found.calibration is not None

    def test_uar_weighs_labels_not_clips(self, made: Maker) -> None:
        found = pooled(
            [made(clips={"a": "calm", "b": "calm", "c": "calm", "d": "cross"}, right="abc")]
        )
        assert found is not None
        assert (found.accuracy, found.uar) == (0.75, 0.5)

    def test_a_clip_under_two_seeds_counts_once_with_its_mean(self, made: Maker) -> None:
        found = pooled([made(seed=1, right="abcd"), made(seed=2, right="ab")])
        assert found is not None
        assert (found.clips, found.accuracy, found.uar) == (4, 0.75, 0.75)
        assert found.accuracy_interval == wilson(0.75, 4)
        assert sum(map(sum, found.confusion)) == 8
        assert found.calibration is None

    def test_nothing_of_unknown_labels(self, made: Maker) -> None:
        assert pooled([made(), made(labelled=False)]) is None
        assert pooled([]) is None


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


class Page(HTMLParser):
    """Every tag that opens is closed, in order; nothing is fetched, nothing runs."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.pictures = 0
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(set(self.ids)) == len(self.ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "link", "iframe", "b8")
        assert not {"src", "href"} & {name for name, _ in attrs}
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.pictures += tag == "svg"
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("line", "rect", "circle", "path")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class TestForms:
    @pytest.fixture
    def runs(self, made: Maker) -> list[RunRecord]:
        return [
            made(fold="grouped-01", right="abc", accuracies=(0.5, 0.75)),
            made(
                fold="grouped-02",
                clips={"e": "calm", "f": "cross"},
                right="e",
                accuracies=(0.5, 0.5),
            ),
            made(protocol="published", fold="published-01", network={"blocks": 3}),
            made(right=None, network={"blocks": 3}, protocol="published", fold="p-2", epochs=8),
        ]

    def test_markdown_has_the_figures(self, runs: list[RunRecord]) -> None:
        page = markdown.render(compare(runs))
        assert "4 runs of 2 experiments" not in page  # epochs differ: the unfinished is a third
        assert "4 runs of 3 experiments, told apart by blocks and protocol." in page
        row = next(line for line in page.splitlines() if line.startswith("| 1 | grouped"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        # folds of 0.75 and 0.5; pooled 4 of 6
        assert cells[2:6] == ["2 folds", "2", "62.5 ± 17.7", "31.2 ± 8.8"]
        assert cells[6:8] == ["6", "66.7 (30.0 to 90.3)"]
        assert "| run-03 |" in page and "| 2 of 8 | unfinished |" in page
        assert "**Leaky.**" in page
        assert "**Unfinished.** run-03 (2 of 8 epochs)" in page

    def test_confusion_and_calibration(self, runs: list[RunRecord]) -> None:
        page = markdown.render(compare(runs[:2]))
        assert "## Answers: all runs" in page
        assert "| calm | 3 | 0 | 100.0 |" in page
        assert "| cross | 2 | 1 | 33.3 |" in page
        assert "## Calibration" in page

    def test_the_page_holds_together(self, runs: list[RunRecord]) -> None:
        page = Page(html.render(compare(runs)))
        text = " ".join(" ".join(page.words).replace("\xa0", " ").split())
        assert "62.5 ± 17.7" in text
        assert "unfinished" in text
        assert page.pictures == 2 + 3 + 2  # dots, curves of all three, answers of the finished

    def test_pictures_end_somewhere_and_that_is_said(self, made: Maker) -> None:
        found = compare([made(network={"omega_0": float(n)}) for n in range(1, 15)])
        page = Page(html.render(found))
        assert page.pictures == 2 + 12 + 12
        assert "2 more experiments are not drawn." in "".join(page.words)

    def test_curves_of_many_epochs_are_thinned(self, made: Maker) -> None:
        page = html.render(compare([made(accuracies=[0.5] * 1000)]))
        assert "test 50 % at the end" in page
        assert len(page) < 40_000

    def test_one_lone_unfinished_run(self, made: Maker) -> None:
        found = compare([made(right=None, epochs=9, accuracies=(None,))])
        assert "none finished" in markdown.render(found)
        assert Page(html.render(found)).pictures == 0

    def test_texts_of_strangers_stay_texts(self, made: Maker, tmp_path: Path) -> None:
        clips = {"a": "calm", "b": "cross"}
        run = read_record(
            make_run(tmp_path / "<b8>*x*|y", fold="<b8>\x1b[31m", clips=clips, right="a")
        )
        assert "<b8>" not in html.render(compare([run]))
        Page(html.render(compare([run])))
        page = markdown.render(compare([run]))
        assert "<b8>" not in page.replace("\\<", "")
        assert "\x1b" not in page
        assert r"\*x\*\|y" in page

    def test_seeds_stand_below(self, made: Maker) -> None:
        found = compare([made(seed=1, accuracies=(0.5,)), made(seed=2, accuracies=(0.7,))])
        head, rows = tables.figures_table(found)
        assert rows[0][head.index("accuracy")] == "60.0 ± 14.1\n(seeds ± 14.1)"
        assert rows[0][head.index("runs")] == "1 fold\n(2 seeds)"

    def test_one_run_has_no_spread(self, made: Maker) -> None:
        blocks = {"network": {"blocks": 3}}
        runs = [made(accuracies=(0.723,)), *(made(accuracies=(a,), **blocks) for a in (0.5, 0.7))]
        found = compare([*runs[:2], made(right=None, epochs=9)])
        assert "±" not in markdown.render(found)
        assert "±" not in "".join(Page(html.render(found)).words)
        assert document(found)["experiments"][0]["last"]["accuracy_std"] is None
        mixed = compare(runs)
        table = tables.figures_table(mixed)
        at = table[0].index("accuracy")
        assert [row[at] for row in table[1]] == ["72.3", "60.0 ± 14.1"]
        assert not tables.numeric(table)[at]  # to the left, so that means stand under means
        assert tables.numeric(tables.figures_table(found))[at]
        assert "Mean ± sample standard deviation over folds and seeds." in markdown.render(mixed)

    def test_kept_has_a_column_only_where_a_run_chose(self, made: Maker) -> None:
        plain = compare([made()])
        assert "accuracy, kept" not in tables.ways_table(plain)[0]
        chose = compare([made(keep="best_validation", right="abc")])
        head, rows = tables.ways_table(chose)
        assert rows[0][head.index("accuracy, kept")] == "75.0"
        assert "lowest validation loss" in markdown.render(chose)

    def test_protocols_and_warnings(self, made: Maker) -> None:
        found = compare([made(protocol="stratified"), made(protocol="loso")])
        assert [said.partition(":")[0] for said in protocols(found)] == ["loso", "stratified"]
        assert [word for word, _ in warnings(found)] == ["Leaky."]
        assert list(warnings(compare([made(protocol="loso")]))) == []

    def test_the_same_fold_and_seed_twice_is_told(self, made: Maker) -> None:
        assert any("More than one run of grouped-01" in s for s in notes(compare([made(), made()])))

    def test_document_is_json_with_all_figures(self, runs: list[RunRecord]) -> None:
        values = json.loads(json.dumps(document(compare(runs))))
        first = values["experiments"][0]
        assert (first["network.blocks"], first["folds"], first["runs_finished"]) == (1, 2, 2)
        assert first["last"]["accuracy_mean"] == 0.625
        assert first["leaky best"]["accuracy_mean"] == 0.625
        assert first["pooled"]["confusion"] == [[3, 0], [2, 1]]
        assert [run["finished"] for run in first["runs"]] == [True, True]
        assert values["experiments"][2]["last"] is None


class TestClassification:
    @pytest.mark.needs("sklearn")
    def test_by_hand(self, made: Maker) -> None:
        # calm: 2 right, 1 cross clip called so; cross: 1 of 2 right
        found = classification(made(right="abc"))
        assert found.values["calm"] == {
            "precision": pytest.approx(2 / 3),
            "recall": 1.0,
            "f1-score": pytest.approx(0.8),
            "support": 2,
        }
        assert found.values["cross"]["recall"] == 0.5
        assert (found.values["accuracy"], found.values["uar"]) == (0.75, 0.75)
        assert found.values["macro avg"]["f1-score"] == pytest.approx((0.8 + 2 / 3) / 2)
        assert "UAR 0.7500" in found.text
        assert json.loads(json.dumps(found.values)) == found.values

    @pytest.mark.needs("sklearn")
    def test_a_label_without_clips_counts_in_macro_and_not_in_uar(self, made: Maker) -> None:
        found = classification(made(clips={"a": "calm", "b": "calm"}, right="ab"))
        assert found.values["macro avg"]["recall"] == 0.5
        assert found.values["uar"] == 1.0

    def test_of_a_run_without_answers(self, made: Maker) -> None:
        for run in (made(right=None, epochs=5), made(labelled=False)):
            with pytest.raises(DataError, match="no predictions of labelled test clips"):
                classification(run)
