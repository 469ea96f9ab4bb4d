"""Your own GitHub Copilot subscription as a server for OpenAI, Anthropic and Gemini clients."""

__version__ = "0.1.0"
ENVIRONMENT_PREFIX = "COPILOT_PROXY_"
"""The prefix of the program's environment variables."""
