"""What is installed on the hub and in leased clusters: rights and admission policies. The one source.

The YAML files beside this module hold the manifests as they were tried on a real API server, with a few words in
@…@; `render` fills those in. Onboarding, the chart and the tests take them from here and nowhere else.
"""
