"""Copilot through the pi-ai package, which runs in a Node process (the sidecar)."""
