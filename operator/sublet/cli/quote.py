"""`sublet quote`: what a claim would get, when and at what price. Nothing is held for anybody.

A claim that is suspended is a quote: it is made, the operator answers in its status, and it is deleted again, also
when the person breaks off.
"""

from decimal import Decimal
from secrets import token_hex
from typing import Any, Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.api.pending import NOT_LOOKED_AT, Offer, PendingReason
from sublet.api.times import MS_PER_HOUR, MS_PER_SECOND, Millis, format_instant
from sublet.api.wording import how_many
from sublet.cli.asking import Wish, claim_body, send
from sublet.cli.choices import Format
from sublet.cli.connect import Cluster, connect, run
from sublet.cli.durations import duration
from sublet.cli.explain import asked
from sublet.cli.following import follow, is_seen
from sublet.cli.objects import meant_namespace
from sublet.cli.output import show_data, show_fields, show_table
from sublet.cli.problems import Problem, describe
from sublet.clock import SystemClock
from sublet.kube.errors import ApiError, KubeError, NotFound, ServerError

_COLUMNS: Final = ("change", "class", "gpus", "from", "until", "price/h", "currency", "in-all")
_WIDE: Final = ("claims", "duration", "jurisdictions", "scope")
_CENT: Final = Decimal("0.01")


def command(
    wish: Wish, namespace: str | None, context: str | None, wait_seconds: int, output: Format
) -> None:
    """Ask, show the answer, and leave nothing behind."""

    async def work() -> None:
        spec = {**wish.spec(), "suspended": True}
        meant = meant_namespace(namespace, context)
        async with connect(context) as hub:
            body = claim_body(spec, name=f"quote-{token_hex(4)}", namespace=meant)
            seen, is_answered = await ask(hub, body, wait_seconds)
        if seen is None or not is_answered:
            raise Problem(_no_answer(seen, wait_seconds))
        if not show_data(quote_data(seen), output):
            show_quote(seen, wide=output is Format.WIDE)

    run(work, what="the quote")


async def ask(hub: Cluster, body: dict[str, Any], seconds: float) -> tuple[GpuClaim | None, bool]:
    """Make a quote's claim, wait for the answer and delete it again; return it as last seen, and whether it is answered."""
    uid, is_refused = None, False
    try:
        try:
            made = GpuClaim.model_validate(await send(hub, body))
        except (Problem, ApiError) as error:
            is_refused = not isinstance(error, ServerError)
            raise
        uid = made.metadata.own_uid
        return await follow(hub, made, _is_answered, seconds)
    finally:
        # without an answer nobody knows whether it was made; its name was chosen here and is no other's
        if not is_refused:
            await _forget(hub, body["metadata"], uid)


def quote_data(claim: GpuClaim) -> dict[str, Any]:
    """Return the answer for programs."""
    pending = claim.status.pending
    dumped = claim.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    return {
        "asked": dumped["spec"],
        "reason": pending.reason.value if pending is not None else None,
        "message": pending.message if pending is not None else "",
        "offers": dumped["status"].get("offers", []),
    }


def show_quote(claim: GpuClaim, *, wide: bool = False) -> None:
    """Print the answer for people: what was asked, what was said to it, and one line for each offer."""
    pending, offers = claim.status.pending, claim.status.offers
    message = pending.message if pending is not None else ""
    if pending is not None and pending.reason is PendingReason.SUSPENDED and offers:
        message = ""  # that it is suspended is our own doing
    show_fields({"Asked for": asked(claim), "Answer": message or None})
    if not offers:
        print("nothing that is like it would bind now")
        return
    print()
    columns = (*_COLUMNS, *(_WIDE if wide else ()))
    now_ms = SystemClock().now_ms()
    show_table(columns, [_row(claim, each, now_ms, wide=wide) for each in offers])
    print("\nNothing is held for you; sublet claim asks for it")


def in_all(claim: GpuClaim, offer: Offer, now_ms: Millis) -> Decimal | None:
    """Return what an offer costs over the whole time, before rounding and minimums of the class; None if it has no end."""
    milliseconds = _length_ms(claim, offer, now_ms)
    if milliseconds is None:
        return None
    gpu_ms = offer.claims * offer.gpus * milliseconds
    return (offer.price_per_gpu_hour * gpu_ms / MS_PER_HOUR).quantize(_CENT)


def _length_ms(claim: GpuClaim, offer: Offer, now_ms: Millis) -> int | None:
    """Return how long what is offered lasts: from its start, or now, to its end, else as long as was asked for."""
    if offer.end_time is not None:
        begin = offer.start_time if offer.start_time is not None else now_ms
        return max(0, offer.end_time - begin)
    seconds = offer.duration_seconds or claim.spec.schedule.duration_seconds
    return seconds * MS_PER_SECOND if seconds is not None else None


def _row(claim: GpuClaim, offer: Offer, now_ms: Millis, *, wide: bool) -> tuple[object, ...]:
    total = in_all(claim, offer, now_ms)
    more = (
        offer.claims,
        duration(offer.duration_seconds) if offer.duration_seconds else "as asked",
        ", ".join(offer.jurisdictions) or "as asked",
        offer.scope.value if offer.scope is not None else "as asked",
    )
    return (
        offer.change.value,
        offer.class_name,
        offer.gpus if offer.claims == 1 else f"{offer.claims} x {offer.gpus}",
        format_instant(offer.start_time) if offer.start_time is not None else "now",
        format_instant(offer.end_time) if offer.end_time is not None else "as asked",
        f"{offer.price_per_gpu_hour:f}",
        offer.currency,
        f"{total:f}" if total is not None else "",
        *(more if wide else ()),
    )


def _is_answered(claim: GpuClaim) -> bool:
    return is_seen(claim) and claim.status.pending is not None and not _is_in_line(claim)


def _is_in_line(claim: GpuClaim) -> bool:
    """Say whether the operator knows the claim and has had no time yet to look what would bind."""
    pending = claim.status.pending
    return pending is not None and pending.message.endswith(NOT_LOOKED_AT)


def _no_answer(seen: GpuClaim | None, wait_seconds: int) -> str:
    if seen is not None and _is_in_line(seen):
        return "the operator has other quotes to answer first; give --wait to wait longer"
    return f"the operator hasn't answered in {how_many(wait_seconds, 'second')}; is it running? Give --wait to wait longer"


async def _forget(hub: Cluster, meta: dict[str, str], uid: str | None) -> None:
    try:
        await hub.delete(CLAIMS.path(meta["namespace"], meta["name"]), uid=uid)
    except NotFound:
        return
    except KubeError as error:
        said = describe(error, what=f"the quote's claim {meta['namespace']}/{meta['name']}")
        raise Problem(f"{said}; delete it yourself if it is there") from error
