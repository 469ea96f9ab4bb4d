"""Translates to and from pi-ai, the provider library of the pi coding agent.

Source of the formats: the types of the npm package ``@earendil-works/pi-ai``, 1.6.0.
"""
