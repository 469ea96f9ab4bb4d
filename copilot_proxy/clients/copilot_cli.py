"""GitHub Copilot CLI, with its settings for other providers (``copilot help providers``)."""

from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.shell import exports


def _launch(to: Connection) -> Launch:
    environ = {
        # Otherwise, Copilot CLI would also connect to GitHub, and ask for a separate sign-in.
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_API_KEY": to.key,
        "COPILOT_MODEL": to.model.id,
        **_api(to),
    }
    if to.model.input:
        environ["COPILOT_PROVIDER_MAX_PROMPT_TOKENS"] = str(to.model.input)
    if to.model.output:
        environ["COPILOT_PROVIDER_MAX_OUTPUT_TOKENS"] = str(to.model.output)
    return Launch(environ=environ)


def _setup(to: Connection, machine: Machine) -> Setup:
    variables = exports(_launch(to).environ, machine.platform)
    return Setup(
        text=f"# In your shell profile, such as ~/.bashrc or ~/.zshrc:\n{variables}\n",
        start="copilot",
        notes=(
            "Copilot CLI reads these settings only from environment variables and has no list of "
            "models.",
        ),
    )


def _api(to: Connection) -> dict[str, str]:
    """Return the variables that select an API on which Copilot serves the model without
    translation."""
    if "chat" not in to.model.apis and "messages" in to.model.apis:
        return {"COPILOT_PROVIDER_TYPE": "anthropic", "COPILOT_PROVIDER_BASE_URL": to.url}
    is_chat = "chat" in to.model.apis or "responses" not in to.model.apis
    return {
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_PROVIDER_WIRE_API": "completions" if is_chat else "responses",
        "COPILOT_PROVIDER_BASE_URL": f"{to.url}/v1",
    }


COPILOT_CLI: Final = Client(
    name="copilot-cli",
    title="Copilot CLI",
    programs=("copilot",),
    install="npm install -g @github/copilot",
    version="1.0.102",
    apis=("chat", "responses", "messages"),
    resume="--continue",
    launch=_launch,
    setup=_setup,
    overrides=(
        "COPILOT_PROVIDER_API_KEY_COMMAND",
        "COPILOT_PROVIDER_BEARER_TOKEN",
        "COPILOT_PROVIDER_HEADERS",
        "COPILOT_PROVIDER_MODEL_ID",
        "COPILOT_PROVIDER_TRANSPORT",
        "COPILOT_PROVIDER_WIRE_API",
        "COPILOT_PROVIDER_WIRE_MODEL",
    ),
)
