"""Web applications, often in a container, that are configured with variables, a file or a form.

Sources: https://docs.openwebui.com/reference/env-configuration,
https://www.librechat.ai/docs/quick_start/custom_endpoints, https://docs.n8n.io
"""

import json
from typing import Final
from urllib.parse import urlsplit

from copilot_proxy.clients.client import Client, Connection, Machine, Setup
from copilot_proxy.clients.shell import exports

_SMALL: Final = "gpt-mini"
_DOCKER: Final = "host.docker.internal"
_CONTAINER_NOTE: Final = (
    f"If the client runs in a container, use connect with --url http://{_DOCKER}:PORT. With Docker "
    f"Desktop, set allowed_hosts to {_DOCKER}. On Linux, start the server with --host 0.0.0.0 and "
    "an API key."
)


def _open_webui(to: Connection, machine: Machine) -> Setup:
    variables = exports(
        {
            "OPENAI_API_BASE_URL": f"{to.url}/v1",
            "OPENAI_API_KEY": to.key,
            # Otherwise, settings saved in the app take precedence over variables.
            "ENABLE_PERSISTENT_CONFIG": "false",
        },
        machine.platform,
    )
    text = f"""\
{variables}
open-webui serve
Or in the app, under Admin Panel | Settings | Connections, add an OpenAI connection:
  URL  {to.url}/v1
  Key  {to.key}
"""
    return Setup(text=text, notes=(_CONTAINER_NOTE,) if _is_local(to) else ())


def _librechat(to: Connection, machine: Machine) -> Setup:
    small = to.families.get(_SMALL, to.model)
    models = json.dumps([model.id for model in to.ordered_models])
    text = f"""\
# In librechat.yaml:
endpoints:
  custom:
    - name: "copilot-proxy"
      apiKey: {json.dumps(to.key)}
      baseURL: {json.dumps(to.url + "/v1")}
      models:
        default: {models}
        fetch: true
      titleConvo: true
      titleModel: {json.dumps(small.id)}
      modelDisplayLabel: "Copilot"
"""
    return Setup(text=text, notes=(_CONTAINER_NOTE,) if _is_local(to) else ())


def _n8n(to: Connection, machine: Machine) -> Setup:
    text = f"""\
Create an OpenAI credential:
  API Key   {to.key}
  Base URL  {to.url}/v1
Then choose a model in the OpenAI Chat Model node, such as {to.model.id}.
"""
    return Setup(text=text, notes=(_CONTAINER_NOTE,) if _is_local(to) else ())


def _is_local(to: Connection) -> bool:
    return urlsplit(to.url).hostname in ("127.0.0.1", "localhost", "::1")


OPEN_WEBUI: Final = Client(
    name="open-webui",
    title="Open WebUI",
    programs=("open-webui",),
    install="pipx install open-webui",
    apis=("chat",),
    setup=_open_webui,
    lists_models=True,
)
LIBRECHAT: Final = Client(
    name="librechat",
    title="LibreChat",
    programs=("librechat",),
    install="https://www.librechat.ai",
    apis=("chat",),
    setup=_librechat,
    families=(_SMALL,),
    lists_models=True,
)
N8N: Final = Client(
    name="n8n",
    title="n8n",
    programs=("n8n",),
    install="npm install -g n8n",
    apis=("chat", "responses"),
    setup=_n8n,
    lists_models=True,
)
