"""OpenHands' command line: variables, and a flag without which it ignores them.

Source: https://docs.openhands.dev/openhands/usage/cli/command-reference
"""

from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.shell import exports

_FLAG: Final = "--override-with-envs"


def _launch(to: Connection) -> Launch:
    environ = {
        # "openai" means the API; the rest is the id of the model.
        "LLM_MODEL": f"openai/{to.model.id}",
        "LLM_BASE_URL": f"{to.url}/v1",
        "LLM_API_KEY": to.key,
    }
    return Launch((_FLAG,), environ)


def _setup(to: Connection, machine: Machine) -> Setup:
    variables = exports(_launch(to).environ, machine.platform)
    return Setup(
        text=f"{variables}\nopenhands {_FLAG}\n",
        notes=("Without the flag, it ignores the variables.",),
    )


OPENHANDS: Final = Client(
    name="openhands",
    title="OpenHands",
    programs=("openhands",),
    install="uv tool install openhands --python 3.12",
    apis=("chat",),
    launch=_launch,
    setup=_setup,
)
