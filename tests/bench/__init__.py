"""`make bench`: the budgets, each measured beside its raw limit in the same run."""
