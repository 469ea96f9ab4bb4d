"""Ollama's API (``/api/chat``, ``/api/generate``, …), for clients only."""
