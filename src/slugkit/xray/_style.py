"""The page's looks, by light and by dark; nothing is loaded from anywhere."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fff; --ink: #1d2026; --faint: #666d7a; --line: #e3e6eb; --bar-colour: #e9eefb; --card: #f6f7f9;
  --c0: #f6c667; --c1: #9dbcf2; --c2: #a5d8b4; --c3: #d9b8ee; --c4: #f3b3a6; --c5: #9fd9dc; --c6: #d6cf8e;
  --c7: #cfd3da; --on: #16181d; --open: 26%;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15171b; --ink: #e6e8ec; --faint: #9aa1ad; --line: #2c3038; --bar-colour: #222b40; --card: #1d2026;
    --c0: #8a6417; --c1: #2f5394; --c2: #2c6a43; --c3: #68418a; --c4: #8d4335; --c5: #23676b; --c6: #65601f;
    --c7: #474d57; --on: #f1f3f6; --open: 34%;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 20px 60px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
header p { margin: 0; color: var(--faint); }
h1 { margin: 0 0 14px; font-size: 28px; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 34px 0 6px; font-size: 18px; }
h2 small { color: var(--faint); font-weight: 400; font-size: 14px; margin-left: 4px; }
ul { list-style: none; margin: 0; padding: 0; }
.cards { display: flex; flex-wrap: wrap; gap: 10px; }
.cards li { background: var(--card); border-radius: 8px; padding: 10px 16px; color: var(--faint); font-size: 13px; }
.cards b { display: block; color: var(--ink); font-size: 22px; line-height: 1.25; font-weight: 600; }
figure { margin: 22px 0 0; }
.sheet, .scroll { overflow-x: auto; }
svg { display: block; width: 100%; min-width: 760px; height: auto; }
svg rect { stroke: var(--ground); stroke-width: 1; fill: var(--fill); }
svg .open > rect { fill: color-mix(in srgb, var(--fill) var(--open), var(--ground)); stroke: var(--fill); }
svg g:not(.open):hover > rect { stroke: var(--ink); stroke-width: 2; }
svg text { font: 11.5px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--on);
  pointer-events: none; }
svg .open > text { fill: var(--ink); font-weight: 600; }
svg .size { opacity: .72; font-weight: 400; }
figcaption { margin-top: 8px; color: var(--faint); font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-bottom: 4px; color: var(--ink); }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; background: var(--fill); }
.c0 { --fill: var(--c0); } .c1 { --fill: var(--c1); } .c2 { --fill: var(--c2); } .c3 { --fill: var(--c3); }
.c4 { --fill: var(--c4); } .c5 { --fill: var(--c5); } .c6 { --fill: var(--c6); } .c7 { --fill: var(--c7); }
.new { --fill: var(--c3); } .grew { --fill: var(--c4); } .shrank { --fill: var(--c2); }
.changed { --fill: var(--c6); } .same { --fill: var(--c7); }
section p { margin: 0 0 6px; color: var(--faint); font-size: 13px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; font-weight: 500; color: var(--faint); font-size: 13px; }
th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; min-width: 6em; }
.number { text-align: right; white-space: nowrap; width: 7em; min-width: 6em; font-variant-numeric: tabular-nums; }
tr[style] td.number:first-child { background: linear-gradient(to right, var(--bar-colour) var(--bar), transparent 0); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 0; font-size: 14px; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { max-width: none; } }
"""
