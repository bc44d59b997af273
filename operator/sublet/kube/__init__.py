"""All that speaks HTTP to an API server: sessions, errors, narrow wire types, the informer.

Used for the hub and for leased clusters alike. Nothing here knows what a lease or a claim is.
"""
