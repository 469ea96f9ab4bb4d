"""Computes the cost of requests and the remaining quota.

Contains only pure functions.
"""
