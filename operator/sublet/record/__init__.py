"""Records of planning passes: what the book was given and what it decided, as text that can be replayed. Pure.

Written by the operator (`sublet.hub.recorder` does the I/O), read by `sublet replay` and by whoever looks into a
decision afterwards. Same input, same output: a record whose replay differs shows a change of the book, or a fault.
"""
