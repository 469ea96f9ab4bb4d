"""The model list, and enabling models."""

import json
from collections import Counter
from pathlib import Path

import pytest

from copilot_proxy.simulator.catalogue import endpoints_of


@pytest.fixture
def listed(copilot):
    body = copilot.get("/models").json()
    assert "list" == body["object"]
    return body["data"]


@pytest.fixture
def by_id(listed):
    return {model["id"]: model for model in listed}


def test_two_ids_occur_twice(listed):
    """Two ids occur twice, as in the real list."""
    counted = Counter(model["id"] for model in listed)
    assert {"gpt-4", "gpt-4-o-preview"} == {one for one, count in counted.items() if count > 1}


def test_one_default_and_one_fallback(listed):
    """Exactly one model is the chat default, and exactly one is the fallback."""
    for flag in ("is_chat_default", "is_chat_fallback"):
        assert 1 == sum(1 for model in listed if model.get(flag))


def test_only_accounts_that_are_billed_by_tokens_see_prices(simulator, copilot, by_id):
    """On plans that are billed per request, models only have a multiplier."""
    assert by_id["claude-opus-5"]["billing"]["token_prices"]
    simulator.state.plan = "pro"
    listed = copilot.get("/models").json()["data"]
    assert not any("token_prices" in model.get("billing", {}) for model in listed)


@pytest.mark.parametrize(
    ("model", "endpoints"),
    [
        ("claude-opus-5", ["/v1/messages"]),
        ("claude-opus-4.7", ["/v1/messages", "/chat/completions"]),
        ("gpt-5.4", ["/responses", "ws:/responses"]),
        ("gpt-5.5", ["/responses", "ws:/responses"]),
        ("gpt-5.6-luna", ["/responses", "ws:/responses"]),
        ("gpt-5-mini", ["/chat/completions", "/responses", "ws:/responses"]),
        ("gpt-4o", None),
        ("text-embedding-3-small", None),
        ("minimax-m2.5", ["/chat/completions", "/v2/interactions"]),
    ],
)
def test_models_of_every_kind_exist(by_id, model, endpoints):
    """There are models for each endpoint alone, for both, for none, and for unknown endpoints."""
    assert endpoints == by_id[model].get("supported_endpoints")


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4.5", "gpt-4.1", "gpt-4o", "gpt-5-mini", "claude-haiku-4.5"]
)
def test_common_models_chat(copilot, model):
    """The most common models answer on chat completions."""
    assert 200 == copilot.chat(model=model).status_code


def test_unusual_entries(by_id):
    """There are disabled, hidden, sparse and priced entries, and both spellings of a price."""
    assert "disabled" == by_id["raptor-mini"]["policy"]["state"]
    assert not by_id["goldeneye"]["model_picker_enabled"]
    assert "xAI" == by_id["grok-code-fast-1"]["vendor"]
    assert {"id", "name", "custom_model", "capabilities"} == set(by_id["acme/llama-4-scout"])
    prices = {
        model: by_id[model]["billing"]["token_prices"]["default"]
        for model in ("gpt-5.5", "gpt-5.6-luna")
    }
    assert "cache_price" in prices["gpt-5.5"]
    assert "cache_read_price" in prices["gpt-5.6-luna"]
    assert "multiplier" not in by_id["claude-opus-5"]["billing"]
    kinds = {model["capabilities"]["type"] for model in by_id.values()}
    assert {"chat", "embeddings", "completion"} == kinds
    assert "internal" not in json.dumps(list(by_id.values())).lower()


def test_without_an_api_version_the_list_is_shorter(copilot, listed):
    """Clients that send no API version see only older models."""
    shorter = copilot.get("/models", x_github_api_version=None).json()["data"]
    assert 0 < len(shorter) < len(listed)
    assert not any("supported_endpoints" in model for model in shorter)


def test_a_free_plan_has_fewer_models(simulator, copilot, listed):
    """Models that are restricted to paid plans are neither listed nor served."""
    simulator.state.plan = "free"
    ids = {model["id"] for model in copilot.get("/models").json()["data"]}
    assert "gpt-4o" in ids
    assert "claude-sonnet-4.5" not in ids
    answer = copilot.chat(model="claude-sonnet-4.5")
    assert (400, "model_not_supported") == (answer.status_code, answer.json()["error"]["code"])


def test_the_catalogue_can_be_changed(simulator, copilot):
    """Tests may add and remove entries while the simulator runs."""
    simulator.state.catalogue[:] = [{"id": "mine", "vendor": "me"}]
    assert ["mine"] == [model["id"] for model in copilot.get("/models").json()["data"]]
    assert 200 == copilot.chat(model="mine").status_code


def test_every_recorded_model_exists(by_id):
    """Every model in the recorded list exists."""
    recording = Path(__file__).parents[1] / "recordings" / "models.json"
    recorded = json.loads(recording.read_text())["data"]
    assert set() == {model["id"] for model in recorded} - set(by_id)


@pytest.mark.parametrize("model", ["nothing", "raptor-mini", "", 7])
def test_unknown_and_disabled_models_are_refused(copilot, model):
    """Unknown and disabled models get the same error; a number as the id makes the body invalid."""
    answer = copilot.chat(model=model)
    code = "invalid_request_body" if model == 7 else "model_not_supported"
    assert (400, code) == (answer.status_code, answer.json()["error"]["code"])


def test_accepting_the_terms_enables_a_model(copilot):
    """After its policy is enabled, the model answers."""
    answer = copilot.post("/models/raptor-mini/policy", {"state": "enabled"})
    assert 200 == answer.status_code
    assert 200 == copilot.chat(model="raptor-mini").status_code


@pytest.mark.parametrize(
    ("model", "body", "status"),
    [
        ("nothing", {"state": "enabled"}, 404),
        ("gpt-5.1", {"state": "on"}, 400),
        ("gpt-5.1", [], 400),
    ],
)
def test_wrong_policies_are_refused(copilot, model, body, status):
    """An unknown model or state is an error."""
    assert status == copilot.post(f"/models/{model}/policy", body).status_code


def test_managed_accounts_cannot_enable_models(simulator, copilot):
    """A managed account cannot enable models on its own."""
    simulator.state.plan = "business"
    answer = copilot.post("/models/raptor-mini/policy", {"state": "enabled"})
    assert 403 == answer.status_code


def test_ids_with_a_slash(copilot):
    """An encoded slash is part of the model's id."""
    answer = copilot.post("/models/acme%2Fllama-4-scout/policy", {"state": "disabled"})
    assert {"state": "disabled"} == answer.json()
    assert 400 == copilot.chat(model="acme/llama-4-scout").status_code


def test_without_a_model_the_default_is_used(copilot):
    """A chat request without a model uses the default model."""
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    answer = copilot.post("/chat/completions", body)
    assert (200, True) == (answer.status_code, answer.json()["model"].startswith("gpt-5-mini"))


@pytest.mark.parametrize(
    ("path", "model", "words"),
    [
        (
            "/chat/completions",
            "gpt-5.4",
            'model "gpt-5.4" is not accessible via the /chat/completions endpoint',
        ),
        (
            "/chat/completions",
            "claude-opus-5",
            'model "claude-opus-5" is not accessible via the /chat/completions endpoint',
        ),
        ("/responses", "gpt-4o", 'model "gpt-4o" is not accessible via the /responses endpoint'),
        ("/responses", "claude-opus-5", 'model "claude-opus-5" does not support Responses API.'),
        (
            "/v1/messages",
            "gpt-4o",
            'model "gpt-4o" is not accessible via the /v1/messages endpoint',
        ),
    ],
)
def test_a_model_on_the_wrong_api(copilot, path, model, words):
    """A model answers only on its own endpoints; the error names the endpoint."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Hi"}],
        **({"max_tokens": 5} if path == "/v1/messages" else {}),
    }
    if path == "/responses":
        body = {"model": model, "input": "Hi"}
    answer = copilot.post(path, body)
    assert (400, {"error": {"message": words, "code": "unsupported_api_for_model"}}) == (
        answer.status_code,
        answer.json(),
    )


def test_completion_models_have_no_endpoint(copilot):
    """Completion models have no endpoint in this API."""
    assert [] == endpoints_of({"id": "x", "capabilities": {"type": "completion"}})
    assert 400 == copilot.chat(model="gpt-41-copilot").status_code


@pytest.mark.parametrize(
    ("fault", "status"),
    [("models_500", 500), ("models_429", 429), ("models_html", 200), ("models_garbage", 200)],
)
def test_the_list_can_fail(simulator, copilot, fault, status):
    """Some faults affect only the model list."""
    simulator.state.faults.on(fault, times=1)
    assert status == copilot.get("/models").status_code
    assert 200 == copilot.get("/models").status_code
