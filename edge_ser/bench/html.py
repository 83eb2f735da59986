"""A benchmark's document as one HTML file: no script, nothing fetched, pictures as inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_ser.bench import plots
from edge_ser.bench.document import completed
from edge_ser.bench.facts import Fact, facts, headline, status, subtitle, title
from edge_ser.bench.page import escape, section, table, whole
from edge_ser.bench.tables import (
    PEERS_HEAD,
    PUBLISHED_HEAD,
    PUBLISHED_OTHERWISE,
    STAGES_HEAD,
    conditions,
    peer_rows,
    published_notes,
    published_rows,
    stage_rows,
    stages_note,
)
from edge_ser.bench.wording import clean

__all__ = ["render"]

Document = Mapping[str, Any]

LEAD = ("per clip", "real-time factor", "cold start", "memory")
"""The facts that are set large, in short."""
SHORT = {
    "per clip": "median, file to label",
    "real-time factor": "time over length",
    "cold start": "process to first label",
    "memory": "peak, fresh process",
}


def render(document: Document) -> str:
    """The page.

    Args:
        document: whole or under way; parts that are null or missing are left out.

    Raises:
        DataError: a field is not what it should be.
    """
    document = completed(document)
    body = "\n".join(part for part in _parts(document) if part)
    return whole(f"edge-ser bench: {title(document)}", body)


def _parts(document: Document) -> Iterator[str]:
    found = facts(document)
    yield (
        '<div class="host">' + "".join(f"<p>{escape(s)}</p>" for s in headline(document)) + "</div>"
    )
    yield f'<p class="over">edge-ser bench</p>\n<h1>{escape(title(document))}</h1>\n'
    yield f'<p class="under">{escape(subtitle(document))}</p>'
    yield _status(document)
    yield _lead(found)
    yield _plots(document)
    yield section("Stages", stages_note(document), _stages(document))
    yield section("Figures", "", _facts(found))
    yield section(
        "Peers",
        "The same clips in turn, each peer in a process of its own. Ratios are of one clip's "
        "times, the peer's over edge-ser's, with 95 % intervals.",
        table(PEERS_HEAD, peer_rows(document)),
    )
    yield section("Published, beside this run", PUBLISHED_OTHERWISE, _published(document))
    notes = "".join(f"<li>{escape(clean(note))}</li>" for note in document["validity"])
    yield section("Notes", "", f"<ul>{notes}</ul>" if notes else "")
    rows = [Fact(name, "", value) for name, value in conditions(document)]
    yield section("Conditions", "", _facts(rows))
    schema = escape(clean(document["schema"]))
    yield f"<footer>{schema}; the JSON document holds every sample.</footer>"


def _status(document: Document) -> str:
    word, sentence = status(document)
    kind = "status" if word == "valid" else "status bad"
    return f'<p><span class="{kind}">{word.capitalize()}.</span> {escape(sentence)}</p>'


def _lead(found: Sequence[Fact]) -> str:
    """The few figures that most came for."""
    named = {fact.name: fact for fact in found}
    shown = [named[name] for name in LEAD if name in named]
    items = "".join(
        f"<div><dt>{escape(fact.name)}</dt>"
        f'<dd>{escape(fact.value)}<span class="how">{escape(SHORT[fact.name])}</span></dd></div>'
        for fact in shown
    )
    return f'<dl class="lead">{items}</dl>' if items else ""


def _plots(document: Document) -> str:
    drawn = (
        (
            plots.distribution(document),
            "How long a clip takes",
            "clips by their time, file to label",
        ),
        (plots.stages(document), "Where the time goes", "median of each stage"),
        (plots.drift(document), "Drift over the run", "each clip in order, and the rolling median"),
        (plots.cold_start(document), "Cold start", "medians of fresh processes"),
        (plots.peers(document), "Peers", "the same clips in the same run, 95 % intervals"),
        (
            plots.published(document),
            "Published against measured",
            "differently measured; a ring for each corpus",
        ),
    )
    figures = "\n".join(
        f"<figure><figcaption><b>{escape(name)}</b><span>{escape(about)}</span></figcaption>{picture}"
        "</figure>"
        for picture, name, about in drawn
        if picture
    )
    return f'<div class="plots">\n{figures}\n</div>' if figures else ""


def _stages(document: Document) -> str:
    """As elsewhere, but for the interval, which stands below its median: a phone is narrow."""
    at = STAGES_HEAD.index("p50") + 1
    head = (*STAGES_HEAD[:at], *STAGES_HEAD[at + 1 :])
    rows = [
        (*row[: at - 1], f"{row[at - 1]}\n{row[at]}", *row[at + 1 :])
        for row in stage_rows(document)
    ]
    return table(head, rows, "numbers")


def _published(document: Document) -> str:
    rows = published_rows(document)
    if not rows:
        return ""
    notes = "".join(
        f"<div><dt>{escape(of)}</dt><dd class='how'>{escape(note)}</dd></div>"
        for of, note in published_notes(document)
    )
    known = "<details><summary>What is known of how they were measured</summary>"
    return table(PUBLISHED_HEAD, rows) + f'{known}<dl class="facts notes">{notes}</dl></details>'


def _facts(found: Sequence[Fact]) -> str:
    rows = "".join(
        f"<div><dt>{escape(fact.name)}</dt>"
        + (f'<dd class="value">{escape(fact.value)}</dd>' if fact.value else "")
        + f'<dd class="how">{escape(fact.how)}</dd></div>'
        for fact in found
    )
    kind = "facts" if any(fact.value for fact in found) else "facts notes"
    return f'<dl class="{kind}">{rows}</dl>' if rows else ""
