"""What leaves Sublet for finance: FOCUS files, written whole into a directory or a bucket.

Reads what rating gives; decides nothing about money. Used by the command line and by the operator's schedule.
"""
