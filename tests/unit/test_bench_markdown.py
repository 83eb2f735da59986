"""The document for people who read text: Markdown, and lines for a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge_ser.bench.document import completed, new_document, read_document
from edge_ser.bench.facts import facts, headline, status
from edge_ser.bench.markdown import lines, render
from edge_ser.bench.schema import SHAPE, STAGES
from edge_ser.bench.tables import TOO_SMALL, conditions, stage_rows
from edge_ser.bench.wording import clean, figure
from edge_ser.errors import DataError

SAMPLE = Path(__file__).resolve().parents[1] / "goldens/bench_document.json"


@pytest.fixture
def sample() -> dict[str, Any]:
    return read_document(SAMPLE)


def rows_of(page: str, head: str) -> list[list[str]]:
    """Cells of the table whose head begins with `head`."""
    found = page.splitlines()
    start = next(at for at, line in enumerate(found) if line.startswith(f"| {head} |"))
    table = []
    for line in found[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return table


def told(document: dict[str, Any], name: str) -> str:
    (fact,) = (fact for fact in facts(completed(document)) if fact.name == name)
    return f"{fact.value}; {fact.how}"


def test_the_first_line_says_that_the_host_is_another(sample: dict[str, Any]) -> None:
    for first in (render(sample).splitlines()[0], next(lines(sample))):
        assert first.startswith("This host is not a Raspberry Pi: it is Example Processor")


def test_without_a_named_machine_the_first_line_is_the_host(sample: dict[str, Any]) -> None:
    sample["published"] = None
    assert headline(sample) == [
        "Measured on Example Processor 3000 (made up), 4 cores, load 0.14 beforehand."
    ]
    sample["conditions"]["machine"]["gpu"] = "Example GPU"
    assert "GPU" not in headline(sample)[0]
    sample["model"]["provider"] = "cuda"
    assert "4 cores, Example GPU, load" in headline(sample)[0]
    sample["conditions"] = None
    assert headline(sample) == ["Measured on a machine of no known name."]


def test_advice_of_several_lines_stays_several_sentences(sample: dict[str, Any]) -> None:
    sample["published"]["advice"] = "this host is another\nuse --provider cuda"
    assert headline(sample)[:2] == ["This host is another.", "Use --provider cuda."]
    sample["published"]["advice"] = None
    assert headline(sample)[0] == "This host is not the published Raspberry Pi."


def test_the_table_of_stages_has_the_figures_of_the_document(sample: dict[str, Any]) -> None:
    page = render(sample)
    table = rows_of(page, "stage")
    assert [row[0] for row in table] == list(STAGES)
    total = sample["stages"]["total"]
    shown = dict(
        zip(("stage", "n", "mean", "p50", "interval", "p90", "p99"), table[-1], strict=False)
    )
    assert shown["n"] == str(total["n"])
    assert float(shown["p50"]) == pytest.approx(total["p50"], rel=0.005)
    assert float(shown["p90"]) == pytest.approx(total["p90"], rel=0.005)
    assert shown["p99"] == TOO_SMALL
    low, high = total["p50_interval"]
    assert shown["interval"] == f"{low:.2f} to {high:.2f}"
    assert "Milliseconds per clip, batch 1" in page
    assert "p90 takes 64 samples, p99 662." in page


def test_few_samples_show_no_tail(sample: dict[str, Any]) -> None:
    for stage in sample["stages"].values():
        stage |= {"p90": None, "p50_interval": None, "drift": None, "n": 3}
    row = stage_rows(sample)[-1]
    assert row[4:8] == ("", TOO_SMALL, TOO_SMALL, row[7])
    assert row[8] == ""
    assert render(sample)
    assert list(lines(sample))


def test_every_figure_has_its_unit_and_protocol(sample: dict[str, Any]) -> None:
    assert told(sample, "per clip").startswith("4.90 ms; median of 96 samples, from file to label")
    said = told(sample, "mean per wav")
    assert said.startswith("5.09 ms; total time over the number of clips, the papers' definition")
    assert "published: 1,420 ms to 1,424 ms on Raspberry Pi, measured otherwise" in said
    assert told(sample, "cold start").startswith(
        "265 ms; process start to first label, median of 3 fresh processes: process 21.0 ms"
    )
    assert told(sample, "memory").startswith("86.3 MB; resident, peak of a fresh process")
    assert told(sample, "model file").startswith("0.425 MB; 95,000 parameters, 166 million")
    assert told(sample, "arithmetic floor").startswith("2.02x (1.99 to 2.05); median of the model")
    assert told(sample, "listening").startswith("4.31 ms per hop; processor time, mean of 18 hops")
    assert told(sample, "energy") == "not measured; no RAPL counters here; no power meter named"
    assert told(sample, "goldens").startswith("hold; ")
    assert told(sample, "accuracy") == "87.5 %, UAR 86.1 %; over 96 clips, not in training"
    assert all(fact.how for fact in facts(sample))


def test_energy_that_was_measured(sample: dict[str, Any]) -> None:
    sample["energy"] |= {"measured": True, "joules_per_clip": 0.2134, "source": "RAPL package-0"}
    assert told(sample, "energy") == "0.213 J per clip; RAPL package-0"


def test_a_cold_start_without_medians_is_the_median_of_its_runs(sample: dict[str, Any]) -> None:
    sample["cold"]["medians"] = None
    assert told(sample, "cold start") == (
        "265 ms; process start to first label, median of 3 fresh processes"
    )
    sample["cold"]["runs"] = sample["cold"]["runs"][:1]
    assert told(sample, "cold start").endswith("median of 1 fresh process")
    sample["cold"]["runs"] = []
    assert "cold start" not in [fact.name for fact in facts(sample)]


def test_accuracy_that_would_prove_nothing_is_none(sample: dict[str, Any]) -> None:
    sample["correctness"] |= {"accuracy": None, "uar": None, "protocol": "seen in training"}
    assert told(sample, "accuracy") == "none; seen in training"


def test_a_model_that_computes_something_wrong_is_invalid(sample: dict[str, Any]) -> None:
    sample["correctness"]["goldens"] = {"passed": False, "detail": "scores differ by 0.3"}
    sample["valid"] = False
    assert status(sample)[0] == "invalid"
    assert "**Invalid.** The model computes something wrong here" in render(sample)
    assert told(sample, "goldens") == "fail; scores differ by 0.3"
    assert any(line.startswith("invalid:") for line in lines(sample))


def test_an_interrupted_run_is_incomplete(sample: dict[str, Any]) -> None:
    sample |= {"complete": False}
    assert status(sample)[0] == "incomplete"
    sample |= {"complete": True, "valid": False}
    assert status(sample)[0] == "invalid"


@pytest.mark.parametrize("name", [name for name in SHAPE if name != "schema"])
def test_any_part_may_be_missing(name: str, sample: dict[str, Any]) -> None:
    del sample[name]
    assert render(sample)
    assert list(lines(sample))


def test_models_of_one_paper_are_told_apart(sample: dict[str, Any]) -> None:
    row = {"kind": "published", "paper": "CkTIM", "what": "time per clip", "seconds": 0.1}
    sample["published"]["rows"] = [row | {"model": "TIM"}, row | {"model": "CkTIM"}]
    assert [cells[2] for cells in rows_of(render(sample), "published")] == [
        "TIM: time per clip", "CkTIM: time per clip",
    ]  # fmt: skip


def test_an_empty_document_is_still_a_page() -> None:
    new = new_document(["edge-ser", "bench"], {"model": "plb.tflite"})
    page = render(new)
    assert "## plb.tflite" in page
    assert "**Incomplete.**" in page
    assert "### Peers" not in page
    assert "| command | edge-ser bench |" in page


def test_peers_that_did_not_run_are_named_with_the_reason(sample: dict[str, Any]) -> None:
    rows = {row[0]: row[1:] for row in rows_of(render(sample), "peer")}
    assert rows["keras-eager"][2].startswith("9.15x (")
    assert rows["librosa-litert"][3] == "95 of 96"
    assert "pip install resampy" in rows["papers"][0]
    assert rows["papers"][1:] == ["", "", ""]
    shown = "\n".join(lines(sample))
    assert "papers: not installed: resampy; pip install resampy" in shown
    assert "librosa-onnx: ended after 12 clips" in shown


def test_published_figures_are_said_to_be_measured_otherwise(sample: dict[str, Any]) -> None:
    page = render(sample)
    rows = rows_of(page, "published")
    assert rows[0] == [
        "Improved RoutingConvNet", "emodb", "inference time per wav", "1,424 ms", "5.09 ms", "280x",
    ]  # fmt: skip
    assert [row[0] for row in rows].count("edge-ser (predicted)") == 1
    assert "measured elsewhere and otherwise" in page
    assert "Features are almost surely excluded" in page


def test_conditions_of_before_and_after_stand_together(sample: dict[str, Any]) -> None:
    found = dict(conditions(sample))
    assert found["load"] == "0.14, then 0.21"
    assert found["temperature"] == "46.5 °C, then 51.0 °C"
    assert (found["governor"], found["throttled"]) == ("ondemand", "no")
    sample["conditions"]["after"] |= {"celsius": None, "throttled": ["under-voltage now"]}
    found = dict(conditions(sample))
    assert found["temperature"] == "46.5 °C, then not told"
    assert found["throttled"] == "no, then under-voltage now"


def test_texts_of_strangers_stay_texts(sample: dict[str, Any]) -> None:
    evil = "a|b\n# [x](http://e.org)<img src=x>\x1b[31m\u202e*c*\udc80"
    sample["model"]["name"] = sample["peers"][0]["name"] = evil
    sample["validity"] = [evil]
    sample["peers"][4]["error"] = evil
    page = render(sample)
    assert not re.search(r"(?<!\\)[<>\[\]]", page)
    assert "\x1b" not in page + "\n".join(lines(sample))
    assert "\u202e" not in page
    assert {len(row) for row in rows_of(page, "peer")} == {5}
    page.encode()
    assert all(len(line) <= 100 for line in lines(sample) if not line.startswith(("a|b", "peer")))


def test_lines_fit_a_terminal(sample: dict[str, Any]) -> None:
    assert max(map(len, lines(sample))) <= 100
    assert all(line.isprintable() for line in lines(sample))


def test_untrained_weights_are_named(sample: dict[str, Any]) -> None:
    sample["model"]["untrained"] = True
    assert "(LiteRT, cpu, 1 thread, untrained weights: for times alone)" in render(sample)


def test_published_memory_stands_beside_what_nvml_told(sample: dict[str, Any]) -> None:
    row = {"kind": "published", "paper": "PLB", "what": "peak GPU memory", "megabytes": 0.627}
    sample["published"]["rows"] = [row, {"kind": "published", "paper": "without a figure"}]
    assert rows_of(render(sample), "published") == [
        ["PLB", "", "peak GPU memory", "0.627 MB", "", ""]
    ]
    assert "published:" not in told(sample, "mean per wav")
    sample["memory"]["gpu_mb"] = 310.0
    assert rows_of(render(sample), "published")[0][4:] == ["310 MB", "0.00202x"]
    assert told(sample, "GPU memory") == "310 MB; of a fresh process, from NVML"


def test_figures_with_little_detail(sample: dict[str, Any]) -> None:
    for part, kept in (
        ("streaming", "cpu_ms_per_hop"),
        ("model", "size_bytes"),
        ("memory", "rss_peak_mb"),
        ("correctness", "goldens"),
        ("cold", "runs"),
    ):
        sample[part] = {kept: sample[part][kept]}
    sample["correctness"]["goldens"] = None
    page = render(sample)
    assert "| listening | 4.31 ms per hop | processor time |" in page
    assert "| model file | 0.425 MB |  |" in page
    assert "| memory | 86.3 MB | resident, peak of a fresh process |" in page
    assert "| accuracy | none | not measured |" in page
    assert "goldens" not in page


def test_numbers_keep_three_digits_that_count() -> None:
    shown = [figure(value) for value in (9.999, 99.96, 1e-5, 123_456.7, 2e12, -0.5)]
    assert shown == ["10.00", "100.0", "1e-05", "123,457", "2e+12", "-0.500"]
    assert clean("x" * 5000) == "x" * 599 + "…"


def test_what_is_no_document_is_refused() -> None:
    for form in (render, lambda document: list(lines(document))):
        with pytest.raises(DataError, match="its schema is None"):
            form({"rtf": 1.0})
    text = json.loads(SAMPLE.read_text()) | {"rtf": "fast"}
    with pytest.raises(DataError, match="rtf is 'fast'"):
        render(text)
