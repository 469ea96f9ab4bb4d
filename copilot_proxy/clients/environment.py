"""The variables read by the SDKs of OpenAI, Anthropic and Google, and by most programs."""

from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.shell import exports


def variables(url: str, key: str) -> dict[str, str]:
    """Return the variables for a server at `url`, which does not end with ``/v1``."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",  # read by older programs
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": url,
        # Anthropic's SDK warns if ANTHROPIC_AUTH_TOKEN is set as well.
        "ANTHROPIC_API_KEY": key,
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": key,
    }


OVERRIDES: Final = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_URL")
"""Variables that would change how the SDKs use the variables above."""


def launch(to: Connection) -> Launch:
    """Return how to start any program that reads these variables."""
    models = {"OPENAI_MODEL": to.model.id, "ANTHROPIC_MODEL": to.model.id}
    return Launch(environ=variables(to.url, to.key) | models)


def _setup(to: Connection, machine: Machine) -> Setup:
    text = (
        '# In a shell, or in the .env file of a project (there, without "export"):\n'
        f"{exports(variables(to.url, to.key), machine.platform)}\n"
        "# Use model ids from `copilot-proxy models`, or families:\n"
        f"# {to.model.id}\n"
    )
    notes = (
        "With OPENAI_BASE_URL, langchain-openai does not request token usage in streams: pass "
        "stream_usage=True if you need it.",
    )
    return Setup(text=text, notes=notes)


SDKS: Final = Client(
    name="sdk",
    title="SDKs and LangChain",
    programs=("sdk",),
    install="pip install openai anthropic langchain-openai langchain-anthropic",
    apis=("chat", "responses", "messages"),
    setup=_setup,
)
