"""Carries a request from the client to Copilot, and the answer back."""
