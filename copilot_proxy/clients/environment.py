"""The variables that the SDKs of OpenAI and Anthropic read, and with them most programs."""

from copilot_proxy.clients.client import Connection, Launch


def variables(url: str, key: str) -> dict[str, str]:
    """Return the variables for a server at `url`, which is without ``/v1``."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",  # what older programs read
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_AUTH_TOKEN": key,
    }


def launch(to: Connection) -> Launch:
    """Return how to start any program."""
    models = {"OPENAI_MODEL": to.model.id, "ANTHROPIC_MODEL": to.model.id}
    return Launch(environ=variables(to.url, to.key) | models)
