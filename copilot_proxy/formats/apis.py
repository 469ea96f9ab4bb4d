"""The APIs that Copilot's models are asked on, and which of them a request takes.

A model that lists the client's own API is asked on that, so that request and answer are only
repaired; any other is asked on the first of the APIs that it does list. The catalogue decides,
never a model's name.
"""

from collections.abc import Collection, Sequence
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.api import ClientApi, UpstreamApi, is_same_api
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.responses.api import RESPONSES

UPSTREAM_APIS: Final[Sequence[UpstreamApi]] = (CHAT_COMPLETIONS, RESPONSES, MESSAGES)
"""In the order in which they are taken for a client whose own API the model does not list."""


def choose(
    client: ClientApi, model: Model | None, refused: Collection[UpstreamApi] = ()
) -> UpstreamApi:
    """The API to ask `model` on for a client of `client`.

    `refused` are those that turned out not to serve the model. Without a catalogue it is a guess:
    the client's own API if Copilot has it, and chat completions for a model that lists nothing.
    """
    if model is None:
        listed = [api for api in UPSTREAM_APIS if is_same_api(client, api)]
    else:
        listed = [api for api in UPSTREAM_APIS if api.path in model.endpoints]
    candidates = listed or [CHAT_COMPLETIONS]
    left = [api for api in candidates if api not in refused]
    if not left:
        left = [api for api in UPSTREAM_APIS if api not in refused] or list(UPSTREAM_APIS)
    return next((api for api in left if is_same_api(client, api)), left[0])
