"""`sublet dump`: options and words."""

from sublet.cli.commands.options import Admin, Context, OperatorNamespace, PriceRatios, Redact


def dump(
    redact: Redact = False,
    price_ratios: PriceRatios = False,
    context: Context = None,
    admin: Admin = None,
    operator_namespace: OperatorNamespace = "sublet-system",
) -> None:
    """Print the last pass that decided something, for `sublet replay`.

    Asks the operator's admin endpoint through a port-forward: you need the right to pods/portforward there. It holds
    names and prices of all parties; before handing it on, --redact.
    """
    from sublet.cli import replay as replaying

    replaying.dump(context, admin, operator_namespace, redact=redact, price_ratios=price_ratios)
