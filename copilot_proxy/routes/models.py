"""``GET /v1/models`` and ``/v1/models/{id}``: the models that the account can use."""

from typing import Final

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.routes.answers import JsonResponse
from copilot_proxy.routes.services import Request, get_caller, get_context, get_services

PATH: Final = "/v1/models"


async def list_models(request: Request) -> ASGIApp:
    """Returns OpenAI's list, with limits, vendor, modalities and more as additional fields. Clients
    that send the header anthropic-version receive Anthropic's list, and clients that send
    x-goog-api-key or the parameter `key` receive Google's."""
    return await model_list(request)


async def model_list(request: Request) -> ASGIApp:
    """Return the model list in the format of the client's API."""
    models, caller = get_services(request).relay.models, get_caller(request)
    catalogue = await models.catalogue(caller)
    aliases, default = await models.aliases(caller), await models.default(caller)
    client = get_context(request).client_api
    # Clients let the user choose from the entire list, and few check the state of a model.
    offered = [(name, model) for name, model in aliases if not model.is_disabled]
    return JsonResponse(client.model_list(catalogue.offered, offered, default))


async def model_object(request: Request, name: str) -> ASGIApp:
    """Return the model that `name` refers to, in the format of the client's API."""
    models, caller = get_services(request).relay.models, get_caller(request)
    model = await models.model(name, caller)
    client = get_context(request).client_api
    return JsonResponse(client.model_object(model, name=name, default=await models.default(caller)))
