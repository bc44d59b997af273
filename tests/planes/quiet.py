"""What a plane goes without, so that it costs little while nothing happens.

At rest a plane takes some 3 % of a core; test_moves and test_budget, by turns with and without, took the machine
44 and 53 seconds of processor time. Nothing that the tests look at is left out. Kinds without a watch cache are served and
watched all the same, straight from etcd.
"""

from typing import Final

_IDLE_CONTROLLERS: Final = (
    "node-ipam",  # wants ranges of addresses
    "certificatesigningrequest-approving",
    "certificatesigningrequest-cleaner",
    "certificatesigningrequest-signing",
    "cronjob",
    "device-taint-eviction",
    "disruption",
    "endpoints",
    "endpointslice",
    "endpointslice-mirroring",
    "ephemeral-volume",
    "horizontal-pod-autoscaler",
    "kube-apiserver-serving-clustertrustbundle-publisher",
    "legacy-serviceaccount-token-cleaner",
    "persistentvolume-attach-detach",
    "persistentvolume-binder",
    "persistentvolume-expander",
    "podcertificaterequest-cleaner",
    "podgroup-protection",
    "replicationcontroller",
    "resourceclaim",
    "resourcepoolstatusrequest",
    "service-cidr",
    "storage-version-migrator",
    "storageversion-garbage-collector",
    "ttl",
    "ttl-after-finished",
    "volumeattributesclass-protection",
)
_IDLE_KINDS: Final = (
    "controllerrevisions.apps",
    "daemonsets.apps",
    "statefulsets.apps",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "horizontalpodautoscalers.autoscaling",
    "cronjobs.batch",
    "jobs.batch",
    "certificatesigningrequests.certificates.k8s.io",
    "clustertrustbundles.certificates.k8s.io",
    "podcertificaterequests.certificates.k8s.io",
    "leasecandidates.coordination.k8s.io",
    "endpoints",
    "limitranges",
    "persistentvolumeclaims",
    "persistentvolumes",
    "podtemplates",
    "replicationcontrollers",
    "services",
    "endpointslices.discovery.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "ingressclasses.networking.k8s.io",
    "ingresses.networking.k8s.io",
    "ipaddresses.networking.k8s.io",
    "servicecidrs.networking.k8s.io",
    "runtimeclasses.node.k8s.io",
    "poddisruptionbudgets.policy",
    "deviceclasses.resource.k8s.io",
    "devicetaintrules.resource.k8s.io",
    "resourceclaims.resource.k8s.io",
    "resourceclaimtemplates.resource.k8s.io",
    "resourceslices.resource.k8s.io",
    "priorityclasses.scheduling.k8s.io",
    "csidrivers.storage.k8s.io",
    "csinodes.storage.k8s.io",
    "csistoragecapacities.storage.k8s.io",
    "storageclasses.storage.k8s.io",
    "volumeattachments.storage.k8s.io",
    "volumeattributesclasses.storage.k8s.io",
    "storageversionmigrations.storagemigration.k8s.io",
)

CONTROLLERS: Final = "--controllers=*," + ",".join(f"-{x}-controller" for x in _IDLE_CONTROLLERS)
API_SERVER: Final = (
    "--watch-cache-sizes=" + ",".join(f"{x}#0" for x in _IDLE_KINDS),
    "--feature-gates=SizeBasedListCostEstimate=false,DetectCacheInconsistency=false",
    "--etcd-count-metric-poll-period=0",
    "--etcd-db-metric-poll-interval=0",
)
ETCD: Final = ("--heartbeat-interval=500", "--election-timeout=5000")
"""It is alone: nobody waits for its heartbeats."""
