"""``GET /v1/models`` and ``/v1/models/{id}``: the models that the account can use."""

from litestar import Response, get
from litestar.params import FromPath

from copilot_proxy.formats.chat_completions.response_schema import OpenAIErrorBody
from copilot_proxy.formats.models import ModelList, ModelObject
from copilot_proxy.routes.answers import json_response
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import LitestarRequest, get_caller, get_context, get_services


@get(
    "/v1/models",
    operation_class=documented(),
    responses=answers_with(ModelList, OpenAIErrorBody, "Chat and embeddings models."),
    summary="List the models",
)
async def list_models(request: LitestarRequest) -> Response[bytes]:
    """Returns OpenAI's list, with limits, vendor, modalities and state as extra fields. Clients
    that send the header anthropic-version get Anthropic's list, those that send x-goog-api-key
    or the parameter `key` get Google's."""
    return await model_list(request)


async def model_list(request: LitestarRequest) -> Response[bytes]:
    """Return the list of models in the format of the client's API."""
    models, caller = get_services(request).relay.models, get_caller(request)
    catalogue = await models.models(caller)
    aliases, default = await models.aliases(caller), await models.default(caller)
    client = get_context(request).client_api
    return json_response(client.model_list(catalogue.usable, aliases, default))


@get(
    "/v1/models/{model_id:path}",
    operation_class=documented(),
    responses=answers_with(ModelObject, OpenAIErrorBody, "The model."),
    summary="Show a model",
)
async def get_model(request: LitestarRequest, model_id: FromPath[str]) -> Response[bytes]:
    """Finds a model by its id or an alias. An id may contain slashes."""
    return await model_object(request, str(model_id).removeprefix("/"))


async def model_object(request: LitestarRequest, name: str) -> Response[bytes]:
    """Return the model that `name` means, in the format of the client's API."""
    models, caller = get_services(request).relay.models, get_caller(request)
    model = await models.model(name, caller)
    client = get_context(request).client_api
    return json_response(
        client.model_object(model, name=name, default=await models.default(caller))
    )
