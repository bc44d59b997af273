"""Runs the demo: `python -m tests.demo [--keep] [--write]`. Exit status 0 if every step held."""

import argparse
import sys
import time
from collections.abc import Callable

from tests.demo import steps
from tests.demo.guide import Guide
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, operator_kubeconfig, start_stack
from tests.harness.telling import Step
from tests.planes.plane import PlaneError


def main() -> int:
    """Run all steps; stop at the first that doesn't hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--write", action="store_true", help="write what is printed into README")
    options = parser.parse_args()
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
        guide = Guide(steps.write_settings(stack, operator), is_draft=options.write)
        _tell_the_story(stack, operator, guide)
        if options.write:
            guide.write()
    except (AssertionError, PlaneError) as fault:
        print(f"\nthe demo failed: {fault}", file=sys.stderr)
        if operator is not None:
            print(operator.tail(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    else:
        print("\nevery step held")
        if options.keep:
            _wait(stack, operator)
        return 0
    finally:
        if operator is not None:
            operator.kill()
        if stack is not None:
            stack.stop()


def _tell_the_story(stack: Stack, operator: OperatorProcess, guide: Guide) -> None:
    story: list[tuple[str, Callable[[], str]]] = [
        ("examples", lambda: steps.apply_examples(stack)),
        ("leases", lambda: steps.see_leases(stack)),
        ("claims", lambda: steps.see_claims(stack)),
        ("the pool", lambda: guide.play(0)),
        ("a claim that waits", lambda: guide.play(1)),
        ("a tenant's way in", lambda: guide.play(2)),
        ("a pod", lambda: steps.check_pod(stack)),
        ("an attack", lambda: steps.refuse_attack(stack)),
        ("a leased cluster", lambda: guide.play(3)),
        ("leases again", lambda: steps.see_leases(stack)),
        ("doctor", lambda: guide.play(4)),
        ("release", lambda: steps.release(stack)),
        ("usage", lambda: guide.play(5)),
        ("the bill", lambda: steps.check_usage(stack, operator)),
    ]
    for title, work in story:
        with Step(title) as step:
            step.say(work())
    assert not guide.left, f"README has commands that aren't played: {guide.left}"


def _wait(stack: Stack, operator: OperatorProcess) -> None:
    print(f"""
Look around; Ctrl-C ends it. In another terminal, in this folder:
  . {steps.settings_file(stack)}
Then README's "Ten minutes", or what else you like:
  sublet top
  kubectl get gpuleases,gpuclaims -A
  sublet explain finetune -n globex-ml
  sublet usage --admin $ADMIN
  curl http://127.0.0.1:{operator.port("public")}/metrics
The operator's own rights: {operator_kubeconfig(stack)}; its log: {operator.log}""")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print("\nstopping")


if __name__ == "__main__":
    sys.exit(main())
