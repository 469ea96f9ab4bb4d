"""Your own GitHub Copilot subscription as a local server that speaks the OpenAI API."""

__version__ = "0.1.0"
