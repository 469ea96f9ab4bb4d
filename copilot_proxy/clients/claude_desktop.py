"""Claude Desktop, which users configure in the app itself.

Sources: https://docs.litellm.ai/docs/proxy/client_setup/claude_desktop and
https://docs.pangolin.net/manage/ai/configure-ai-clients/claude-desktop
"""

from typing import Final

from copilot_proxy.clients.client import Client, Connection, Machine, Setup


def _setup(to: Connection, machine: Machine) -> Setup:
    text = f"""\
In the menu, choose Help | Troubleshooting | Enable Developer Mode.
Then, in Developer | Configure Third-Party Inference, under Connection, set:
  Inference provider   Gateway
  Gateway base URL     {to.url}
  Gateway API key      {to.key}
  Gateway auth scheme  bearer
Apply the changes, and choose a model, such as {to.model.id}.
"""
    return Setup(
        text=text,
        notes=("To use Anthropic's servers again, remove these values in the same window.",),
    )


CLAUDE_DESKTOP: Final = Client(
    name="claude-desktop",
    title="Claude Desktop",
    programs=("claude-desktop",),
    install="https://claude.com/download",
    apis=("messages",),
    setup=_setup,
)
