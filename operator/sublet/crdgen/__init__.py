"""CRDs from the pydantic models, so that the public contract is written once.

`python -m sublet.crdgen` writes crds/; `--check` says whether they are up to date. Read by the chart, by
onboarding and by the tests; nothing at run time imports this package.
"""
