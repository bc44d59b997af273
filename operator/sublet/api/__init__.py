"""The kinds as pydantic models: the public contract.

Every other package reads these types and none of them is imported here. CRDs are generated from them by
`sublet.crdgen`; a field stands here only with the code that makes it work.
"""
