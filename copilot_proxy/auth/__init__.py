"""Signing in to GitHub, storing the token, and exchanging it for a Copilot token."""
