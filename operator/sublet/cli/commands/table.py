"""The commands, in the order of the help: name -> the first line of its own help.

A command stands in the module of its name here, under its name. A test holds the lines and the commands together.
"""

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "quote": "Ask what GPUs would be had when, where and for how much. Nothing is held.",
    "claim": "Ask for GPUs: make a GpuClaim.",
    "explain": "Say what a claim asked for, what it got, and why it waits.",
    "kubeconfig": "Print a bound claim's kubeconfig, or merge it into a file.",
    "extend": "Ask for a later end of a claim, and say whether it is granted.",
    "release": "Give a claim's GPUs back: says what ends and what it costs, asks, and deletes the claim.",
    "approve": "Approve a claim that its class gives so many GPUs only with somebody's approval.",
    "top": "Show all leases and claims with their counts and states.",
    "get": "Show claims, classes, leases, statements or tenants, in the columns of the API.",
    "book": "Show supply and demand in time: a chart of GPUs that are held, free and committed, and who waits.",
    "coverage": "Show what each lease has committed, used and unsold, and what it earns and costs in an hour.",
    "usage": "Show metered GPU time and what it costs.",
    "replay": "Decide a recorded pass again and print the decisions, one JSON object per line.",
    "dump": "Print the last pass that decided something, for `sublet replay`.",
    "verify": "Check that nothing is sold twice, lost, orphaned or billed wrong; changes nothing.",
    "margin": "Show revenue, cost, margin, break-even, unsold and SLA credits of each lease, class or tenant.",
    "statement": "Show what the claims of a namespace cost: each month, or one month line by line.",
    "onboard": "Prepare a leased cluster and print a GpuLease to edit.",
    "doctor": "Check leased clusters and say what to mend.",
    "offboard": "Take everything back from a leased cluster.",
    "backup": "Write Sublet's objects on the hub, with their status, into a file.",
    "restore": "Make a backup's objects again on the hub, held until `sublet adopt`.",
    "adopt": "Say that restored objects are the ones they were before.",
    "completion": "Print a script with which your shell completes commands and options.",
    "version": "Print the program's version.",
    "simulate": "Play recorded fleets and workloads against placement strategies.",
    "ledger": "The ledger: prove it, look at it, back it up, restore it, and read its audit trail.",
    "export": "Files for finance, out of the ledger.",
}
