"""gptme: what it calls a local model is one on a server that variables name.

Source: https://gptme.org/docs/providers-custom.html
"""

from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch


def _launch(to: Connection) -> Launch:
    environ = {"OPENAI_BASE_URL": f"{to.url}/v1", "OPENAI_API_KEY": to.key}
    return Launch(("--model", f"local/{to.model.id}"), environ)


GPTME: Final = Client(
    name="gptme",
    title="gptme",
    programs=("gptme",),
    install="pipx install gptme",
    version="0.35.1",
    apis=("chat",),
    launch=_launch,
    user_agent="OpenAI/Python",
)
