"""Your own GitHub Copilot subscription as a server for OpenAI, Anthropic and Gemini clients."""

__version__ = "0.1.0"
