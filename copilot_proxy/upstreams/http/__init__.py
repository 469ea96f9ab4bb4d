"""The Copilot API over HTTP: requests, responses and connections."""
