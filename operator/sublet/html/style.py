"""How pages look: one style for all, and the patterns that tell parts of a chart without colour."""

from typing import Final

from markupsafe import Markup

LOOKS: Final = ("look-a", "look-b", "look-c", "look-d")
"""Plain, striped, dotted, crossed."""
MARK: Final = "mark"
"""A line: what parts are measured against."""

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--paper:#fff;--stripe:#f6f8fa;
--a:#0b5cad;--b:#b35900;--c:#6e7781;--d:#8b2252;--bad:#a40e26}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--line:#30363d;--paper:#0d1117;
--stripe:#161b22;--a:#58a6ff;--b:#f0883e;--c:#8b949e;--d:#f778ba;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{max-width:80rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.2rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 .25rem}
h1,h2,h3,p,dd,figcaption,summary{overflow-wrap:anywhere}a{color:var(--a)}time{white-space:nowrap}
p{margin:.5rem 0}.soft,figcaption{color:var(--soft)}figcaption{font-size:.9rem;margin-top:.25rem}
figure{margin:1rem 0}svg.chart{display:block;width:100%;height:auto;max-width:32rem}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,23rem),1fr));gap:0 2rem}.charts>*{min-width:0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,9.5rem),1fr));gap:.75rem;margin:1rem 0}
.facts>div{border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem;min-width:0}.facts dt{color:var(--soft);font-size:.9rem}
.facts dd{margin:0;font-size:.9rem}.facts .large{font-size:1.35rem;font-weight:600;line-height:1.4}
svg text{fill:var(--ink);font:13px system-ui,sans-serif}svg .axis{stroke:var(--line)}svg .mark{stroke:var(--ink);stroke-width:2;fill:none}
.look-a{fill:var(--a);stroke:var(--a)}.look-b{fill:url(#striped);stroke:var(--b)}
.look-c{fill:url(#dotted);stroke:var(--c)}.look-d{fill:url(#crossed);stroke:var(--d)}
.ink-b{stroke:var(--b)}.ink-c{fill:var(--c)}.ink-d{stroke:var(--d)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;margin:.5rem 0;font-size:.9rem}
.swatch{width:1rem;height:.75rem}.patterns{position:absolute;width:0;height:0}
.scroll{overflow:auto;max-height:40rem;margin:.5rem 0}.scroll:focus-visible,summary:focus-visible,a:focus-visible{outline:3px solid var(--a);outline-offset:2px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;min-width:100%}
caption{text-align:left;color:var(--soft);padding:.25rem 0}
th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}
@media (min-width:60rem){thead th{white-space:normal}}
thead th{vertical-align:bottom;position:sticky;top:0;background:var(--paper);box-shadow:inset 0 -1px var(--line)}.prose{white-space:normal;min-width:18rem;overflow-wrap:anywhere}
tbody tr:nth-child(even){background:var(--stripe)}.number{text-align:right}.bad{color:var(--bad);font-weight:600}
summary{cursor:pointer;padding:.25rem 0}code{overflow-wrap:anywhere}
@media print{:root{--ink:#000;--soft:#333;--line:#999;--paper:#fff;--stripe:#fff;--a:#0b5cad;--b:#b35900;--c:#555;--d:#8b2252;--bad:#a40e26}
main{max-width:none;padding:0}figure,tr{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible;max-height:none}thead th{position:static}
th,td{white-space:normal;padding:.15rem .3rem}details::details-content{content-visibility:visible;block-size:auto}
svg,svg *{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

PATTERNS: Final = Markup(
    '<svg class="patterns" aria-hidden="true" focusable="false"><defs>'
    '<pattern id="striped" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="ink-b" d="M0 0V6" stroke-width="3"/></pattern>'
    '<pattern id="dotted" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<circle class="ink-c" cx="2" cy="2" r="1.2"/></pattern>'
    '<pattern id="crossed" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path class="ink-d" d="M0 0L6 6M6 0L0 6" stroke-width="1.5"/></pattern>'
    "</defs></svg>"
)
