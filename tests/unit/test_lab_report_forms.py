"""The report as Markdown, page, tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edge_ser.cli.output import grid
from edge_ser.lab.report import (
    RunRecord,
    compare,
    document,
    html,
    markdown,
    read_record,
    tables,
    terminal,
)
from edge_ser.lab.report.notes import notes, protocols, warnings

from .lab_report_runs import (
    Maker,
    made_fixture,  # noqa: F401 for pytest to find
    make_run,
)


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

    def test_runs_that_do_not_count_are_not_said_to(self, made: Maker) -> None:
        begun = [made(right=None, accuracies=(None,), epochs=2) for _ in range(2)]
        found = compare([made(), *begun])
        assert not [said for said in notes(found) if "More than one run" in said]
        found = compare([made(), made(), *begun])
        assert any("More than one run of grouped-01" in said for said in notes(found))

    def test_where_no_run_tests_no_figure_is_explained(self, made: Maker) -> None:
        silent = {"protocol": "whole", "fold": "whole", "clips": {}, "accuracies": (None, None)}
        whole = [made(**silent, network={"blocks": blocks}) for blocks in (2, 3)]

        def forms(*runs: RunRecord) -> Iterator[str]:
            found = compare(runs)
            lines = terminal.lines(found, lambda head, rows, right: grid(head, rows, right=right))
            yield "\n".join(lines)
            yield markdown.render(found)
            yield "".join(Page(html.render(found)).words).replace("\xa0", " ")

        for text, other in zip(forms(*whole), forms(*whole, made()), strict=True):
            assert "A run that tests nothing has no figures" in " ".join(text.split())
            for words in ("Leaky best", "intervals", "Which epoch", "Told of the last epoch"):
                assert words not in text
            assert "Leaky best" in other and "intervals" in other

    def test_document_is_json_with_all_figures(self, runs: list[RunRecord]) -> None:
        values = json.loads(json.dumps(document(compare(runs))))
        first = values["experiments"][0]
        assert (first["network.blocks"], first["folds"], first["runs_finished"]) == (1, 2, 2)
        assert first["last"]["accuracy_mean"] == 0.625
        assert first["leaky best"]["accuracy_mean"] == 0.625
        assert first["pooled"]["confusion"] == [[3, 0], [2, 1]]
        assert [run["finished"] for run in first["runs"]] == [True, True]
        assert values["experiments"][2]["last"] is None
