"""OpenHands' command line, which reads variables if a flag says so.

Source: https://docs.openhands.dev/openhands/usage/cli/command-reference
"""

from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.shell import exports

_FLAG: Final = "--override-with-envs"


def _launch(to: Connection) -> Launch:
    environ = {
        # "openai" names the API, and the rest is the model id.
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
    version="1.16.0",
    apis=("chat",),
    resume="--resume --last",
    launch=_launch,
    setup=_setup,
)
