"""`sublet claim`: ask for GPUs, and wait for them if wanted. Writes one object, with the person's own rights."""

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.times import format_instant
from sublet.api.wording import how_many
from sublet.cli.asking import Wish, claim_body, send
from sublet.cli.choices import Format
from sublet.cli.connect import checked_name, connect, run
from sublet.cli.explain import as_data, asked
from sublet.cli.following import follow, state_words
from sublet.cli.objects import meant_namespace
from sublet.cli.output import show_data
from sublet.cli.problems import Problem


def command(
    name: str,
    wish: Wish,
    place: tuple[str | None, str | None],
    wait_seconds: int,
    output: Format,
    *,
    dry_run: bool,
) -> None:
    """Make a claim in a namespace; `place`: namespace and context, None for the person's own."""
    namespace, context = place

    async def work() -> None:
        spec = wish.spec()
        meant = meant_namespace(namespace, context)
        body = claim_body(spec, name=checked_name(name, what="claim"), namespace=meant)
        async with connect(context) as hub:
            raw = await send(hub, body, dry_run=dry_run)
            made = GpuClaim.model_validate(raw)
            if not show_data(as_data(raw), output):
                print(_made(made, dry_run=dry_run))
            if not wait_seconds or dry_run:
                return
            seen, is_bound = await follow(hub, made, _is_over, wait_seconds)
        if seen is None:
            raise Problem(f"claim {made.metadata.key} was deleted meanwhile")
        if not is_bound or not is_true(seen.status.conditions, "Bound"):
            raise Problem(f"claim {made.metadata.key} isn't bound: {state_words(seen)}")
        if output in (Format.TABLE, Format.WIDE):
            print(_bound(seen))

    run(work, what=f"claim {name}")


def _is_over(claim: GpuClaim) -> bool:
    """Say whether there is nothing more to wait for."""
    return any(is_true(claim.status.conditions, each) for each in ("Bound", "Ended"))


def _made(claim: GpuClaim, *, dry_run: bool) -> str:
    meta = claim.metadata
    if dry_run:
        return f"{meta.key}: {asked(claim)}: the hub would take it; nothing was written (--dry-run)"
    return f"{meta.key}: {asked(claim)}\nsublet explain {meta.name} -n {meta.namespace}  says how it stands"


def _bound(claim: GpuClaim) -> str:
    held, meta = claim.status.allocation, claim.metadata
    if held is None:
        return f"{meta.key} is bound"
    until = f" until {format_instant(held.until_time)}" if held.until_time is not None else ""
    where = ", ".join(sorted({p.lease for p in held.placements}))
    price = f"{held.price_per_gpu_hour:f} {held.currency} per GPU-hour"
    return (
        f"{meta.key} is bound: {how_many(held.gpus, 'GPU')} at {where}{until}, {price}\n"
        f"sublet kubeconfig {meta.name} -n {meta.namespace}  is the way in"
    )
