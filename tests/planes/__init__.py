"""Real control planes for tests, demo and benchmarks: etcd, kube-apiserver and friends on loopback.

`python -m tests.planes up hub west east` starts them, `down` stops them. `Planes` is what the code uses.
"""
