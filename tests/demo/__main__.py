"""Runs the demo: `python -m tests.demo [--keep]`. Exit status 0 if every step held."""

import argparse
import sys
import time
from collections.abc import Callable

from tests.demo import steps
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, operator_kubeconfig, start_stack
from tests.harness.telling import Step
from tests.planes.plane import PlaneError


def main() -> int:
    """Run all steps; stop at the first that doesn't hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    keep = parser.parse_args().keep
    stack = operator = None
    try:
        with Step("control planes") as step:
            stack = start_stack("demo")
            step.say("hub, west and east are up; west and east are onboarded")
        with Step("nodes") as step:
            step.say(steps.bring_nodes(stack))
        with Step("operator") as step:
            operator = OperatorProcess(stack).start()
            step.say(f"running as its own process (pid {operator.pid}) with its own narrow rights")
        _tell_the_story(stack, operator)
    except (AssertionError, PlaneError) as fault:
        print(f"\nthe demo failed: {fault}", file=sys.stderr)
        if operator is not None:
            print(operator.tail(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    else:
        print("\nevery step held")
        if keep:
            _wait(stack, operator)
        return 0
    finally:
        if operator is not None:
            operator.kill()
        if stack is not None:
            stack.stop()


def _tell_the_story(stack: Stack, operator: OperatorProcess) -> None:
    story: list[tuple[str, Callable[[], str]]] = [
        ("examples", lambda: steps.apply_examples(stack)),
        ("leases", lambda: steps.see_leases(stack)),
        ("claims", lambda: steps.see_claims(stack)),
        ("the pool", lambda: steps.show_top(stack)),
        ("a pod", lambda: steps.run_pod(stack)),
        ("an attack", lambda: steps.refuse_attack(stack)),
        ("release", lambda: steps.release(stack)),
        ("usage", lambda: steps.show_usage(stack, operator)),
    ]
    for title, work in story:
        with Step(title) as step:
            step.say(work())


def _wait(stack: Stack, operator: OperatorProcess) -> None:
    print(f"""
Look around; Ctrl-C ends it.
  export KUBECONFIG={stack.running.kubeconfig("hub")}
  kubectl get gpuleases,gpuclaims -A
  sublet explain finetune -n globex-ml
  sublet usage --admin http://127.0.0.1:{operator.port("admin")}
  curl http://127.0.0.1:{operator.port("public")}/metrics
The operator's own rights: {operator_kubeconfig(stack)}; its log: {operator.log}""")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print("\nstopping")


if __name__ == "__main__":
    sys.exit(main())
