"""`make demo`: Sublet at work on real control planes, step by step, each step checked."""
