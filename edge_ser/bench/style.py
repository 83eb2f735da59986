"""The look of a report: system type, much white, one colour, by day and by night."""

from __future__ import annotations

__all__ = ["CSS"]

CSS = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1d2127; --soft: #626a75;
  --faint: #767e89; --rule: #e6e7e9; --wash: #f4f5f6; --accent: #0b6a78; --bar: #8cbcc3;
  --bad: #a3321f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e7e9ec; --soft: #a2aab4; --faint: #8b939d; --rule: #2b3036;
    --wash: #1b1f23; --accent: #63c5d2; --bar: #2f6b74; --bad: #ff9b85; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 61rem; margin: 0 auto; padding: 3.5rem 1.25rem 5rem; }
h1 { font-size: 1.75rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em;
  margin: .2rem 0 .3rem; }
h2 { font-size: 1.15rem; font-weight: 650; margin: 0 0 .35rem; }
h3 { font-size: .95rem; font-weight: 600; margin: 0 0 .9rem; }
p { margin: .4rem 0; max-width: 44rem; }
section { margin-top: 3.5rem; }
.over { color: var(--faint); font-size: .85rem; margin: 0; }
.under { color: var(--soft); margin: 0 0 .9rem; }
.host { margin: 0 0 2.2rem; padding: .8rem 1rem; background: var(--wash); border-radius: .5rem;
  max-width: none; }
.host p { max-width: none; margin: 0; }
.note { color: var(--soft); font-size: .9rem; }
.lead { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1.4rem 1.5rem;
  margin: 2.2rem 0 0; padding: 0; }
.lead dt { color: var(--soft); font-size: .9rem; }
.lead dd { margin: 0; font-size: 1.9rem; line-height: 1.25; font-weight: 620;
  letter-spacing: -.02em; white-space: nowrap; }
.lead div:first-child dd { color: var(--accent); }
.lead .how { font-size: .85rem; color: var(--faint); font-weight: 400; letter-spacing: 0;
  display: block; }
.status { font-weight: 600; color: var(--accent); }
.status.bad { color: var(--bad); }
.facts { margin: 1rem 0 0; }
.facts div { display: grid; grid-template-columns: 10rem 13rem 1fr; gap: 0 1.5rem;
  padding: .6rem 0; border-top: 1px solid var(--rule); }
.facts.notes div { grid-template-columns: 10rem 1fr; }
.facts.notes dt, .facts.notes dd { font-size: .92rem; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }
.facts .value { font-weight: 600; }
.facts .how { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .5rem 1.1rem .5rem 0; text-align: left; vertical-align: top;
  border-top: 1px solid var(--rule); white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .85rem; }
tbody th { font-weight: 500; position: sticky; left: 0; background: var(--paper); }
td.words { white-space: normal; min-width: 14rem; }
td small { display: block; color: var(--faint); font-size: .78rem; font-weight: 400; }
.numbers th:not(:first-child), .numbers td { text-align: right; }
th:last-child, td:last-child { padding-right: 0; }
.numbers tbody tr:last-child > * { font-weight: 650; }
.small { color: var(--faint); font-size: .82rem; }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 2.8rem 3.5rem;
  margin-top: 3.5rem; }
figure { margin: 0; }
figcaption { margin-bottom: .9rem; }
figcaption span { display: block; color: var(--faint); font-size: .85rem; }
figcaption b { font-weight: 600; font-size: .98rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; font-size: 13px;
  font-family: inherit; }
svg text { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 4px;
  stroke-linejoin: round; }
svg .strong { font-weight: 600; }
svg .tick, svg .faint { fill: var(--faint); font-size: 12px; }
svg .bar { fill: var(--bar); }
svg .whole, svg .point { fill: var(--accent); }
svg .ring { fill: var(--paper); stroke: var(--soft); stroke-width: 1.6; }
svg .dot { fill: var(--bar); opacity: .75; }
svg .trend { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
svg .mark { stroke: var(--accent); stroke-width: 1.4; }
svg .span { stroke: var(--accent); stroke-width: 6; stroke-linecap: round; opacity: .35; }
svg .axis { stroke: var(--faint); stroke-width: 1; }
svg .grid, svg .track { stroke: var(--rule); stroke-width: 1; }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--accent); font-size: .92rem; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--rule);
  color: var(--faint); font-size: .85rem; }
@media (max-width: 46rem) {
  main { padding-top: 1.5rem; }
  section { margin-top: 2.8rem; }
  th, td { padding-right: .8rem; }
  .plots { grid-template-columns: 1fr; gap: 2.6rem; margin-top: 2.8rem; }
  svg { font-size: 14.5px; }
  svg .tick, svg .faint { font-size: 13.5px; }
  .stack thead { display: none; }
  .stack tr { display: block; padding: .6rem 0; border-top: 1px solid var(--rule); }
  .stack th, .stack td { display: block; border: 0; padding: .1rem 0; white-space: normal; }
  .stack td { display: flex; gap: 1rem; color: var(--soft); font-size: .9rem; }
  .stack td::before { content: attr(data-name); flex: 0 0 7rem; color: var(--faint); }
  .stack td:empty { display: none; }
  .stack td.words { min-width: 0; }
  .facts div { grid-template-columns: 8rem 1fr; }
  .facts .how { grid-column: 2; }
  .facts.notes div { grid-template-columns: 8rem 1fr; }
  .lead { grid-template-columns: 1fr 1fr; }
  .lead dd { font-size: 1.6rem; }
}
@media print { :root { color-scheme: light; } main { padding: 0; } details > * { display: block; } }
"""
