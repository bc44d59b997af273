"""The invariant checker: what must hold over hub, leased clusters and ledger, told from one reading of all of them.

It shares no code with the binder or the hub, so that a mistake of theirs isn't believed here: a package beside the
binder, and everything in it but `reader`, `fleet` and `clusters` is pure. `docs/verify.md` lists the invariants and what may be seen between the
steps of the protocols.

    world = await read_world(hub, {lease_uid: leased_api}, ledger)      # sublet.verify.reader
    wrong = list(find_violations(world, settled=False))                 # sublet.verify.find

After every committed write: `settled=False`. When faults are over and nobody writes any more: `settled=True`, which asks
for the eventual invariants too. Whoever reads again and again keeps a `WorldReader`, which parses only what changed.
"""
