"""Where each command that the documentation shows is run: by which test, or by the demo. Read by test_commands.py.

A command is its words up to the first argument; `needs` are files that run it. Of each option that a page gives, one of these
must have it, too. What no test can run says why.
"""

from typing import Final

_COMMANDS = "tests/integration/cli/test_commands.py"
_ONBOARD = ("tests/integration/cli/test_onboard.py", "tests/integration/cli/program.py", "tests/e2e/test_credentials.py")  # fmt: skip
_VERIFY = "tests/integration/cli/test_verify.py"
_LOST_HUB = "tests/integration/recovery/test_lost_hub.py"
_LEDGER = "tests/unit/cli/test_ledger.py"
_DEMO = "tests/demo/steps.py"
_CHART = "tests/integration/chart/test_life.py"
_WORDS = "tests/integration/rights/test_words.py"

PLAYED: Final = {
    "README.md": "tests/e2e/test_demo.py",
    "docs/quickstart.md": "tests/e2e/test_demo.py",  # is made of README
    "docs/cli.md": "tests/unit/cli/test_page.py",
}
"""page -> the test that runs every command of it and compares what it prints"""

RUN: Final[dict[str, tuple[str, ...]]] = {
    "sublet top": (_COMMANDS,),
    "sublet explain": (_COMMANDS,),
    "sublet kubeconfig": (_COMMANDS,),
    "sublet usage": (_DEMO, _COMMANDS),
    "sublet coverage": (_COMMANDS, "tests/unit/docs/test_howtos.py"),
    "sublet onboard": _ONBOARD,
    "sublet doctor": ("tests/integration/cli/test_doctor.py",),
    "sublet offboard": (
        "tests/integration/cli/test_offboard.py",
        "tests/integration/cli/program.py",
    ),
    "sublet backup": (_LOST_HUB,),
    "sublet restore": (_LOST_HUB,),
    "sublet adopt": (_LOST_HUB,),
    "sublet verify": (_VERIFY,),
    "sublet dump": ("tests/unit/serve/test_admin.py",),
    "sublet replay": ("tests/unit/cli/test_replay.py",),
    "sublet simulate openb": ("tests/unit/cli/test_simulate.py",),
    "sublet statement": ("tests/e2e/test_statements.py",),
    "sublet margin": ("tests/unit/cli/test_margin.py",),
    "sublet export focus": (
        "tests/unit/cli/test_export.py",
        "tests/integration/export/test_bucket.py",
    ),
    "sublet ledger adjust": ("tests/unit/cli/test_adjust.py",),
    "sublet ledger audit": (_LEDGER,),
    "sublet ledger backup": (_LEDGER,),
    "sublet ledger head": (_LEDGER,),
    "sublet ledger restore": (_LEDGER,),
    "sublet ledger show": (_LEDGER,),
    "sublet ledger verify": (_LEDGER,),
    "python -m sublet.export.focus": ("tests/unit/export/focus/test_program.py",),
    "focus-toolkit validate": ("tests/unit/export/focus/test_program.py",),
    "helm template": ("tests/harness/helm.py", "tests/integration/chart/test_install_page.py"),
    "helm install": (_CHART,),
    "helm rollback": (_CHART,),
    "helm uninstall": (_CHART,),
    "helm upgrade": (_CHART,),
    "kubectl apply": (
        _DEMO,
        "tests/integration/api/test_crds.py",
        "tests/integration/cli/test_onboard.py",
    ),
    "kubectl get": (_DEMO, "tests/integration/api/test_kubectl.py"),
    "kubectl wait": (_DEMO,),
    "kubectl patch gpuclaim": (_WORDS,),
    "kubectl patch gpulease": (_WORDS, "tests/e2e/test_drift.py"),
}

_KUBELET: Final = "plain kubectl at the operator's own Deployment, which needs a kubelet"

NOT_RUN: Final[dict[str, str]] = {
    "docker push": "needs a registry",
    "kubectl annotate": "plain kubectl, and nothing of Sublet's",
    "kubectl auth": _KUBELET,
    "kubectl create": "plain kubectl, and nothing of Sublet's",
    "kubectl delete": "plain kubectl, and what it deletes is gone",
    "kubectl exec": _KUBELET,
    "kubectl label": "plain kubectl; what the label asks for is checked by tests/integration/chart/test_safety.py",
    "kubectl logs": _KUBELET,
    "kubectl port-forward": _KUBELET,
    "kubectl scale": _KUBELET,
    "kubectl rollout": _KUBELET,
    "kubectl run": "the same attack, with an applied pod: tests/demo/steps.py and tests/integration/isolation",
    "kubectl patch configmap argocd-cm": "needs a running Argo CD; its script is run by tests/integration/gitops",
    "make image": "needs a registry; the Dockerfile and the script are tested in tests/unit/test_image.py",
    "make demo": "is the demo",
    "make release-check": "needs a clean tree; its judgements are tested in tests/unit/release",
    "make test": "runs the tests",
    "python -m tests.faults": "is `make faults`; its fixed subset is in tests/faults/test_plans.py",
    "python -m tests.simulation": "is `make simulate`; its histories are in tests/simulation/test_histories.py",
}
