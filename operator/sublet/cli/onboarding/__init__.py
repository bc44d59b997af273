"""Adding a leased cluster, looking after it, and taking everything back: `onboard`, `doctor`, `offboard`.

Run by the platform team with cluster-admin of the leased cluster, once; the operator itself never has such rights.
"""
