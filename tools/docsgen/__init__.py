"""Reference pages from the code, so that what they say is written once.

`python -m tools.docsgen` writes them, `--check` says which are out of date. `make generate` runs it; nothing imports it at run
time. What a page says comes from the models, the settings and the chart's rules: to change it, change those.
"""
