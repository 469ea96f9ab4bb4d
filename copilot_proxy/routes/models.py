"""``GET /v1/models`` and ``/v1/models/{id}``: what the account can use."""

import msgspec
from litestar import Response, get
from litestar.params import FromPath

from copilot_proxy.formats.chat_completions.schema import ErrorBody
from copilot_proxy.formats.messages import models as anthropic
from copilot_proxy.formats.models import ModelList, ModelObject, model_list, model_object
from copilot_proxy.middleware.error_responses import speaks_anthropic
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import AnyRequest, caller_of, context_of, services_of


@get(
    "/v1/models",
    operation_class=documented(),
    responses=answers_with(ModelList, ErrorBody, "Chat and embeddings models."),
    summary="List the models",
)
async def list_models(request: AnyRequest) -> Response[bytes]:
    """OpenAI's list, with limits, vendor, modalities and state as extra fields; Anthropic's for a
    client that sends anthropic-version."""
    models, caller = services_of(request).relay.models, caller_of(request)
    catalogue = await models.models(caller)
    if speaks_anthropic(context_of(request)):
        return _json(anthropic.model_list(m for m in catalogue.usable if m.is_chat))
    own = [model_object(model, name=name) for name, model in await models.aliases(caller)]
    listed = model_list(catalogue.usable)
    taken = {entry["id"] for entry in own}
    listed["data"] = [*own, *(entry for entry in listed["data"] if entry["id"] not in taken)]
    return _json(listed)


@get(
    "/v1/models/{model_id:path}",
    operation_class=documented(),
    responses=answers_with(ModelObject, ErrorBody, "The model."),
    summary="Show one model",
)
async def get_model(request: AnyRequest, model_id: FromPath[str]) -> Response[bytes]:
    """One model, by its id or an alias; ids may hold slashes."""
    name = str(model_id).removeprefix("/")
    model = await services_of(request).relay.models.model(name, caller_of(request))
    if speaks_anthropic(context_of(request)):
        return _json(anthropic.model_info(model, name=name))
    return _json(model_object(model, name=name))


def _json(body: object) -> Response[bytes]:
    return Response(msgspec.json.encode(body), media_type="application/json")
