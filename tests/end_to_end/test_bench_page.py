"""The report in a real browser: nothing wider than a phone or a desktop, nothing fetched."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

import pytest

from edge_ser.bench.document import read_document
from edge_ser.bench.html import render

SAMPLE = Path(__file__).resolve().parents[1] / "goldens/bench_document.json"
FRAME = """<!DOCTYPE html><body><iframe width="{width}" height="800" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  const beyond = [...page.querySelectorAll("svg text")].filter((text) => {{
    const frame = text.ownerSVGElement.getBoundingClientRect();
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1;
  }});
  const root = page.documentElement;
  document.body.dataset.found = [root.scrollWidth - root.clientWidth, beyond.length,
    page.querySelectorAll("svg").length, getComputedStyle(page.querySelector("h1")).display];
}};
</script></body>"""


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits(width: int, tmp_path: Path) -> None:
    frame = tmp_path / "frame.html"
    page = html.escape(render(read_document(SAMPLE)))
    frame.write_text(FRAME.format(width=width, page=page), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000"]
    done = subprocess.run(
        [*command, "--dump-dom", frame.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found is not None, done.stderr[-2000:]
    assert found[1] == "0,0,6,block"
