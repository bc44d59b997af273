"""What a browser is asked of a page that it shows: each a function's body, whose answer is a list of faults."""

from typing import Final

OPEN_ALL: Final = "document.querySelectorAll('details').forEach(d => d.open = true)"

FAINT: Final = """
const part = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4 };
const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
const colour = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n };
const behind = e => e ? colour(getComputedStyle(e).backgroundColor) || behind(e.parentElement) : [255, 255, 255];
const found = {}, walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement, text = walk.currentNode.data.trim(), style = getComputedStyle(e);
  if (!text || e.localName === 'title' || !e.checkVisibility()) continue;
  seen += 1;
  const ink = colour(e.closest('svg') ? style.fill : style.color);
  const [high, low] = [light(ink), light(behind(e))].sort((x, y) => y - x);
  const contrast = (high + .05) / (low + .05);
  if (contrast < 4.5) found[`${e.localName} ${ink} on ${behind(e)}`] = text;
}
return seen ? Object.entries(found) : ['no text was looked at'];
"""
"""Text whose contrast with what is behind it is less than 4.5 to 1 (WCAG 2.2, 1.4.3)."""

TOO_WIDE: Final = """
const found = [], wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) found.push(`page: ${document.documentElement.scrollWidth}`);
for (const e of document.querySelectorAll('main *'))
  if (!e.closest('table, svg') && e.checkVisibility() && e.getBoundingClientRect().right > wide + .5)
    found.push(`${e.localName}: ${e.textContent.slice(0, 40)}`);
return found;
"""
"""What goes beyond the screen, but for tables, whose frames scroll."""

CUT_OFF: Final = """
const found = [];
for (const svg of document.querySelectorAll('svg.chart')) {
  const all = svg.getBoundingClientRect(), shapes = [...svg.querySelectorAll('rect')].map(r => r.getBoundingClientRect());
  if (!all.width) continue;
  for (const text of svg.querySelectorAll('text')) {
    const t = text.getBoundingClientRect();
    if (t.left < all.left - 1 || t.right > all.right + 1) found.push(`cut off: ${text.textContent}`);
    if (shapes.some(s => s.left < t.right && t.left < s.right && s.top < t.bottom - 4 && t.top + 4 < s.bottom))
      found.push(`on a bar: ${text.textContent}`);
  }
}
return found;
"""
"""Words of a chart that are cut off or lie on its bars."""

HEADLESS: Final = """
const rows = [...document.querySelectorAll('tbody tr')].filter(r => !r.querySelector('th[scope=row], [colspan]'));
return [...rows, ...document.querySelectorAll('th:not([scope])')].map(e => e.textContent);
"""
"""Rows of tables without a heading, and headings that don't say what they head."""

STOPS: Final = """
const all = [...document.querySelectorAll('a[href], summary, [tabindex]')].filter(e => e.checkVisibility());
window.visited = [];
document.addEventListener('focusin', ({target}) => {
  const style = getComputedStyle(target);
  visited.push([all.indexOf(target), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]);
});
return all.length;
"""
"""How many elements the Tab key must reach; from then on their places are noted as they get the focus, and whether a person sees it."""

VISITED: Final = "return window.visited"

PLACE: Final = """
const all = [...document.querySelectorAll('a[href], summary, [tabindex]')].filter(e => e.checkVisibility());
return all.indexOf(document.querySelector(arguments[0]));
"""
"""How many stops lie before the first element of a selector."""

FOCUS: Final = """
const e = document.activeElement, at = e.getBoundingClientRect();
return {name: e.localName, text: e.textContent, inSight: at.bottom > 0 && at.top < innerHeight};
"""
"""Which element has the focus, and whether it is on the screen."""
