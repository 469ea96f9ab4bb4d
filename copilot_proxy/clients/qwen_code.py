"""qwen-code: variables, and a flag for the kind of provider."""

from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch


def _launch(to: Connection) -> Launch:
    environ = {
        "OPENAI_BASE_URL": f"{to.url}/v1",
        "OPENAI_API_KEY": to.key,
        "OPENAI_MODEL": to.model.id,
    }
    return Launch(("--auth-type", "openai"), environ)


QWEN_CODE: Final = Client(
    name="qwen-code",
    title="qwen-code",
    programs=("qwen",),
    install="npm install -g @qwen-code/qwen-code",
    version="0.24.4",
    apis=("chat", "messages"),
    launch=_launch,
    user_agent="QwenCode/",
    overrides=("QWEN_MODEL",),
)
