"""The cost of requests, in billionths of an AI credit, and the remaining quota.

Contains only pure functions.
"""
