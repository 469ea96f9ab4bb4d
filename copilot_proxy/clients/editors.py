"""Editors and plugins that users configure by hand, in their settings or in code.

Sources: https://codecompanion.olimorris.dev/guides/openai-compatible-providers,
https://github.com/yetone/avante.nvim, https://gptel.org, JetBrains' and Apple's help pages.
"""

import json
from typing import Final
from urllib.parse import urlsplit

from copilot_proxy.clients.client import Client, Connection, Machine, Setup

_KEY: Final = "COPILOT_PROXY_API_KEY"


def _jetbrains(to: Connection, machine: Machine) -> Setup:
    text = f"""\
In Settings | Tools | AI Assistant | Providers & API keys, add an OpenAI-compatible provider:
  URL           {to.url}/v1
  API key       {to.key}
  Tool calling  on
Then choose the models, such as {to.model.id}.
"""
    return Setup(text=text)


def _xcode(to: Connection, machine: Machine) -> Setup:
    port = urlsplit(to.url).port or 80
    text = f"""\
In Xcode's settings, under Intelligence, add a model provider:
  Locally Hosted  port {port}
If the server has a key, choose Internet Hosted instead:
  URL             {to.url}
  API key         {to.key}
  API key header  x-api-key
Xcode then lists the account's models.
"""
    return Setup(text=text)


def _avante(to: Connection, machine: Machine) -> Setup:
    text = f"""\
require("avante").setup({{
  provider = "copilot_proxy",
  providers = {{
    copilot_proxy = {{
      __inherited_from = "openai",
      endpoint = {json.dumps(to.url + "/v1")},
      model = {json.dumps(to.model.id)},
      api_key_name = "{_KEY}", -- a variable, with the value {json.dumps(to.key)}
    }},
  }},
}})
"""
    return Setup(text=text)


def _codecompanion(to: Connection, machine: Machine) -> Setup:
    text = f"""\
require("codecompanion").setup({{
  adapters = {{
    http = {{
      copilot_proxy = function()
        return require("codecompanion.adapters").extend("openai_compatible", {{
          env = {{ url = {json.dumps(to.url)}, api_key = {json.dumps(to.key)} }},
          schema = {{ model = {{ default = {json.dumps(to.model.id)} }} }},
        }})
      end,
    }},
  }},
  interactions = {{ chat = {{ adapter = "copilot_proxy" }} }},
}})
"""
    return Setup(text=text)


def _gptel(to: Connection, machine: Machine) -> Setup:
    url = urlsplit(to.url)
    models = " ".join(model.id for model in to.models)
    text = f"""\
(setq gptel-model '{to.model.id}
      gptel-backend
      (gptel-make-openai "copilot-proxy"
        :protocol {json.dumps(url.scheme)}
        :host {json.dumps(url.netloc)}
        :endpoint {json.dumps(url.path + "/v1/chat/completions")}
        :stream t
        :key {json.dumps(to.key)}
        :models '({models})))
"""
    return Setup(text=text)


def _obsidian(to: Connection, machine: Machine) -> Setup:
    text = f"""\
In the Copilot plugin's settings, under Model, add a custom model:
  Provider  3rd party (openai-format)
  Base URL  {to.url}/v1
  API key   {to.key}
  Model     {to.model.id}
  CORS      on
If CORS is off, Obsidian sends requests as a web page does. In that case, start the server with:
  copilot-proxy serve --cors-origin app://obsidian.md
"""
    return Setup(text=text)


_CURSOR_OBSTACLE: Final = """\
Cursor cannot use this server: it sends requests for custom models from its own servers, which
refuse local addresses. A public tunnel is not recommended: others could use your subscription,
and GitHub might block your account.
In Cursor's terminal, clients such as Claude Code do work: copilot-proxy run claude
"""


def _cursor(to: Connection, machine: Machine) -> Setup:
    return Setup(text=_CURSOR_OBSTACLE)


JETBRAINS: Final = Client(
    name="jetbrains",
    title="JetBrains AI Assistant",
    programs=("idea", "pycharm", "webstorm", "goland"),
    install="https://www.jetbrains.com/ai-assistant",
    apis=("chat",),
    setup=_jetbrains,
    lists_models=True,
)
XCODE: Final = Client(
    name="xcode",
    title="Xcode",
    programs=("xcodebuild",),
    paths=("/Applications/Xcode.app",),
    install="https://developer.apple.com/xcode",
    apis=("chat",),
    setup=_xcode,
    lists_models=True,
)
AVANTE: Final = Client(
    name="avante",
    title="avante.nvim",
    programs=("avante",),
    paths=(".local/share/nvim/lazy/avante.nvim",),
    install="https://github.com/yetone/avante.nvim",
    apis=("chat", "responses"),
    setup=_avante,
)
CODECOMPANION: Final = Client(
    name="codecompanion",
    title="codecompanion.nvim",
    programs=("codecompanion",),
    paths=(".local/share/nvim/lazy/codecompanion.nvim",),
    install="https://codecompanion.olimorris.dev",
    apis=("chat",),
    setup=_codecompanion,
)
GPTEL: Final = Client(
    name="gptel",
    title="gptel",
    programs=("gptel",),
    install="https://gptel.org",
    apis=("chat",),
    setup=_gptel,
)
OBSIDIAN: Final = Client(
    name="obsidian",
    title="Obsidian Copilot",
    programs=("obsidian",),
    paths=("/Applications/Obsidian.app",),
    install="https://obsidian.md",
    apis=("chat",),
    setup=_obsidian,
)
CURSOR: Final = Client(
    name="cursor",
    title="Cursor",
    programs=("cursor",),
    paths=("/Applications/Cursor.app",),
    install="https://cursor.com",
    apis=(),
    setup=_cursor,
    obstacle=_CURSOR_OBSTACLE,
)
