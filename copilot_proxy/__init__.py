"""Your own GitHub Copilot subscription as a server for OpenAI and Anthropic clients."""

__version__ = "0.1.0"
