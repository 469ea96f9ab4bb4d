"""The hub's requests and answers in the shapes of pi-ai, the provider library of the pi agent.

Source of the shapes: the types of the npm package ``@mariozechner/pi-ai``, 0.73.1.
"""
