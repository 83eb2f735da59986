"""The page of a benchmark: whole, self-contained, safe with texts of strangers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.bench import plots
from edge_ser.bench.document import new_document, read_document
from edge_ser.bench.html import render
from edge_ser.bench.schema import SCHEMA, SHAPE, STAGES
from edge_ser.bench.statistics import summarise
from edge_ser.bench.svg import linear, logarithmic
from edge_ser.errors import DataError

SAMPLE = Path(__file__).resolve().parents[1] / "goldens/bench_document.json"
VOID = {"meta"}
EMPTY_IN_SVG = {"line", "rect", "circle", "path"}
PICTURES: dict[str, Callable[..., str]] = {
    "distribution": plots.distribution,
    "stages": plots.stages,
    "drift": plots.drift,
    "cold": plots.cold_start,
    "peers": plots.peers,
    "published": plots.published,
}


class Page(HTMLParser):
    """Reads a page strictly: every tag that opens is closed, in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in EMPTY_IN_SVG
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture
def sample() -> dict[str, Any]:
    return read_document(SAMPLE)


def measured(times: list[float]) -> dict[str, Any]:
    """A document of these times and nothing else."""
    summary = summarise(times).to_dict()
    return {
        "schema": SCHEMA,
        "samples_ms": dict.fromkeys(STAGES, times),
        "stages": dict.fromkeys(STAGES, summary),
        "mean_per_wav_ms": summary["mean"],
    }


def test_the_page_is_balanced_and_says_what_the_document_says(sample: dict[str, Any]) -> None:
    page = Page(render(sample))
    for said in (
        "This host is not a Raspberry Pi",
        "4.90 ms",
        "Valid.",
        "n too small",
        "9.15x (8.97 to 9.33)",
        "Features are almost surely excluded",
        "the model stage became 1.05 times slower",
        "12d6fba69a40114e",
    ):
        assert said in page.text
    assert page.tags["svg"] == len(PICTURES)
    assert page.tags["h1"] == page.tags["main"] == page.tags["title"] - len(PICTURES) == 1


def test_nothing_is_fetched_and_nothing_runs(sample: dict[str, Any]) -> None:
    text = render(sample)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "base", "a", "use"} & set(page.tags)
    assert not re.search(r"https?:|url\(|@import|@font-face|javascript:", text)
    assert not [name for _, name, _ in page.attributes if name in ("src", "href", "style")]
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.values("content")


def test_it_is_made_for_phones_and_for_the_night(sample: dict[str, Any]) -> None:
    text = render(sample)
    assert "width=device-width, initial-scale=1" in text
    assert "@media (prefers-color-scheme: dark)" in text
    assert "@media (max-width:" in text
    assert "tabular-nums" in text
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_each_picture_has_a_title_and_a_text_of_its_own(sample: dict[str, Any]) -> None:
    page = Page(render(sample))
    identities = page.values("id")
    assert len(identities) == len(set(identities)) == 2 * len(PICTURES)
    for labelled in page.values("aria-labelledby"):
        assert set(labelled.split()) <= set(identities)
    assert page.values("role") == ["img"] * len(PICTURES)


def test_texts_of_strangers_stay_texts(sample: dict[str, Any]) -> None:
    evil = "</style><script>alert(1)</script>\"'&amp;<img src=x onerror=y>\x00\x1b\u202e\udc80"

    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoilt(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [spoilt(inner) for inner in value]
        return evil if isinstance(value, str) else value

    kept = ("schema", "workload")
    document = {key: value if key in kept else spoilt(value) for key, value in sample.items()}
    document["workload"] = sample["workload"] | {"name": evil}
    text = render(document)
    page = Page(text)
    text.encode("utf-8")
    assert set(page.tags) == set(Page(render(sample)).tags)
    assert [name for _, name, _ in page.attributes if name.startswith("on")] == []
    assert "<script>alert(1)</script>\"'&amp;<img src=x onerror=y>" in page.text
    assert not re.search("[\x00\x1b\u202e]", text)


@pytest.mark.parametrize("name", [name for name in SHAPE if name != "schema"])
def test_any_part_may_be_missing(name: str, sample: dict[str, Any]) -> None:
    del sample[name]
    assert Page(render(sample)).tags["h1"] == 1


def test_an_empty_document_is_still_a_page() -> None:
    page = Page(render(new_document(["edge-ser", "bench"], {"model": "plb.tflite"})))
    assert "plb.tflite" in page.text
    assert "Incomplete." in page.text
    assert page.tags["svg"] == page.tags["table"] == 0


def test_an_invalid_result_stands_out(sample: dict[str, Any]) -> None:
    sample["correctness"]["goldens"]["passed"] = False
    page = Page(render(sample))
    assert "status bad" in page.values("class")
    assert "its speed means nothing" in page.text


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(DataError, match="its schema is None"):
        render({})


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 5000])
def test_pictures_of_any_number_of_samples(n: int) -> None:
    times = np.random.default_rng(n).lognormal(1.6, 0.2, n).round(4).tolist()
    page = Page(render(measured(times)))
    assert page.tags["svg"] == 1 + (n >= 2) + (n >= 5)
    assert page.tags["circle"] <= 400


@given(
    st.lists(st.floats(0, 1e9), min_size=1, max_size=30).map(
        lambda times: [round(value, 4) for value in times]
    )
)
def test_pictures_of_any_times_stay_within_their_frame(times: list[float]) -> None:
    text = render(measured(times))
    page = Page(text)
    assert "nan" not in text.replace("nance", "")
    for _, name, value in page.attributes:
        if name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(value) <= 441
        if name in ("width", "height", "r"):
            assert float(value) >= 0


def test_the_histogram_counts_every_clip_once() -> None:
    times = [5.0] * 50 + [5.5] * 20 + [6.0] * 10
    picture = plots.distribution(measured(times))
    heights = [float(h) for h in re.findall(r'height="([\d.]+)" rx="1"', picture)]
    assert len(heights) == 3
    assert heights[0] / heights[2] == pytest.approx(5, rel=0.02)
    assert "beyond" not in picture
    assert "2 clips beyond, up to 90.0 ms" in plots.distribution(measured([*times, 80.0, 90.0]))


def test_bars_are_as_long_as_their_figures(sample: dict[str, Any]) -> None:
    picture = plots.stages(sample)
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', picture)]
    shares = [sample["stages"][stage]["p50"] for stage in STAGES]
    assert widths[3] / widths[5] == pytest.approx(shares[3] / shares[5], rel=0.01)


def test_the_rolling_median_follows_a_machine_that_gets_hot() -> None:
    times = [4.0] * 60 + [6.0] * 60
    assert "Rolling median from 4.00 ms to 6.00 ms" in plots.drift(measured(times))


def test_published_and_peers_lie_where_their_axis_says(sample: dict[str, Any]) -> None:
    picture = plots.published(sample)
    dots = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', picture)]
    ours, theirs = sample["mean_per_wav_ms"], 1424.43
    decade = (dots[1] - dots[0]) / math.log10(theirs / ours)
    assert (dots[-1] - dots[0]) / decade == pytest.approx(math.log10(100 / ours), abs=0.01)
    assert "logarithmic" in picture
    assert picture.count('class="point"') == 1
    sample["published"]["rows"].append(sample["published"]["rows"][0] | {"seconds": 0.5})
    grouped = plots.published(sample)
    assert "Improved RoutingConvNet: 500 to 1,424 ms" in grouped
    assert len(re.findall("<circle", grouped)) == len(dots) + 1
    assert len(re.findall("<circle", plots.peers(sample))) == 3


def test_scales_end_at_round_values() -> None:
    assert logarithmic(5.1, 1424, 0, 1).ticks == (1, 10, 100, 1000, 10_000)
    assert logarithmic(1, 9.2, 0, 1).ticks == (1, 2, 5, 10)
    assert logarithmic(3, 3, 0, 1).low < 3 < logarithmic(3, 3, 0, 1).high
    scale = linear(4.6, 6.4, 0, 100)
    assert scale.ticks == pytest.approx((5, 5.5, 6))
    assert (scale(4.6), scale(6.4), scale(99)) == (0, 100, 100)
    flat = linear(0, 0, 0, 100)
    assert flat(0) == 50


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_any_scale_holds_its_ends(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    for scale in (linear(low, high, 0, 1), logarithmic(low, high, 0, 1)):
        assert 0 <= scale(low) <= scale(high) <= 1
        assert 0 < len(scale.ticks) < 70
        assert all(scale.low * 0.999 <= tick <= scale.high * 1.001 for tick in scale.ticks)
