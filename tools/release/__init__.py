"""`make release-check`: is what is committed fit to be released? Pure judgements in modules of their own; `__main__` builds and prints.

What is judged is built from a fresh copy of the last commit, so that nothing of a working folder gets into it.
"""
