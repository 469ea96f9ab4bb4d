"""Translates to and from pi-ai, the provider library of the pi coding agent.

Source of the shapes: the types of the npm package ``@mariozechner/pi-ai``, 0.73.1.
"""
