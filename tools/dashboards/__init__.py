"""Grafana's dashboards: what they show, as Python; the chart's JSON files are written from it.

JSON as Grafana saves it is a thousand lines of which thirty say something. Those thirty are here, one module for each dashboard. Queries hold for any
number of replicas (`max`, never `sum`, over what all of them show; what each sees for itself, of the one that leads), and currencies are never added.
"""
