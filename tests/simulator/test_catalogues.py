"""The built-in catalogues: today's models, the models of March, and invented ones."""

from collections import Counter
from typing import Any

import pytest

from copilot_proxy.simulator import CATALOGUES, Simulator
from copilot_proxy.simulator.catalogue import load

ALWAYS_SENT = {"id", "name", "object", "version", "model_picker_enabled", "capabilities"}
CAPABILITIES = {"object", "type", "family", "tokenizer"}
TODAY = 35
"""The number of chat models in November 2026."""


def by_id(name: str) -> dict[str, dict[str, Any]]:
    return {model["id"]: model for model in load(name)}


def chat(name: str) -> dict[str, dict[str, Any]]:
    return {i: m for i, m in by_id(name).items() if m["capabilities"]["type"] == "chat"}


def test_the_default_is_the_newest():
    """Without a name, the simulator has the models of November 2026."""
    assert load("2026-11") == Simulator().state.catalogue
    assert load("2026-03") == Simulator(catalogue="2026-03").state.catalogue


def test_an_unknown_name_is_an_error():
    """The message lists the names that exist."""
    with pytest.raises(ValueError, match="2026-11, 2026-03, future"):
        Simulator(catalogue="2027-01")


@pytest.mark.parametrize("name", ["2026-11", "future"])
def test_entries_have_all_fields_that_github_always_sends(name):
    """An official client discards the whole list if an entry lacks one of these fields."""
    for model in load(name):
        assert set() == ALWAYS_SENT - set(model), model["id"]
        assert set() == CAPABILITIES - set(model["capabilities"]), model["id"]
        assert set() == {"state", "terms"} - set(model.get("policy", {"state": 1, "terms": 1}))


def test_every_current_vendor_is_listed():
    """The models of November come from six vendors, on the APIs that serve them."""
    models = chat("2026-11")
    assert TODAY == len(models)
    vendors = Counter(model["vendor"] for model in models.values())
    assert {
        "Anthropic": 11, "OpenAI": 12, "Google": 5, "xAI": 3, "Microsoft": 3, "Moonshot AI": 1
    } == vendors  # fmt: skip
    for model in models.values():
        endpoints = model["supported_endpoints"]
        assert ("/v1/messages" in endpoints) is (model["vendor"] == "Anthropic")
        assert ("ws:/responses" in endpoints) is (model["vendor"] == "OpenAI")


def test_prices_are_credits_per_batch():
    """Two dollars per million tokens are 200 AI credits; long prompts have a separate tier."""
    prices = by_id("2026-11")["gpt-6.1-sol"]["billing"]["token_prices"]
    assert 1_000_000 == prices["batch_size"]
    assert {
        "input_price": 200, "output_price": 1000, "cache_read_price": 10, "cache_write_price": 250,
        "max_prompt_tokens": 272000,
    } == prices["default"]  # fmt: skip
    assert 400 == prices["long_context"]["input_price"]


def test_the_list_of_today_has_every_oddity():
    """There are deprecated, disabled and hidden models, a duplicate id, and a completion model."""
    entries = load("2026-11")
    models = by_id("2026-11")
    for model, field in (("grok-4.5", "warning_messages"), ("claude-opus-5", "info_messages")):
        assert "model_pending_deprecation" == models[model][field][0]["code"]
    assert "disabled" == models["gemini-4-neon"]["policy"]["state"]
    assert not models["gpt-5.4-nano"]["model_picker_enabled"]
    assert "completion" == models["gpt-41-copilot"]["capabilities"]["type"]
    counted = Counter(model["id"] for model in entries)
    assert {"gpt-5.4-nano"} == {one for one, count in counted.items() if count > 1}
    for flag in ("is_chat_default", "is_chat_fallback"):
        assert 1 == sum(1 for model in entries if model[flag])


def test_the_future_has_unknown_values():
    """Vendors, endpoints, efforts, prices and fields are unknown, and no model is in the picker."""
    models = by_id("future")
    assert not any(model["model_picker_enabled"] for model in models.values())
    assert ["/v3/converse", "/chat/completions"] == models["aurora-1"]["supported_endpoints"]
    assert "ultra" in models["gpt-7-sol"]["capabilities"]["supports"]["reasoning_effort"]
    assert 2 * 10**11 == models["gpt-7-sol"]["billing"]["token_prices"]["input_price"]
    assert ALWAYS_SENT == set(models["plain-1"])
    assert "unconfigured" == models["kestrel-2"]["policy"]["state"]


@pytest.mark.parametrize("simulator", CATALOGUES, indirect=True)
def test_a_model_that_is_not_enabled_is_refused(copilot):
    """Disabled and unconfigured models are refused until their terms are accepted."""
    waiting = [
        model["id"]
        for model in copilot.get("/models").json()["data"]
        if model.get("policy", {}).get("state", "enabled") != "enabled"
    ]
    assert waiting
    for model in waiting:
        assert "model_not_supported" == copilot.chat(model=model).json()["error"]["code"]
        copilot.post(f"/models/{model}/policy", {"state": "enabled"})
        assert 200 == copilot.chat(model=model).status_code


@pytest.mark.parametrize("simulator", ["2026-11", "future"], indirect=True)
def test_without_a_model_github_chooses_a_chat_model(copilot):
    """A chat request without a model is served by a model that supports chat completions."""
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    assert 200 == copilot.post("/chat/completions", body).status_code


@pytest.mark.parametrize("simulator", ["2026-11"], indirect=True)
def test_older_api_versions_have_one_cache_price(copilot):
    """Before 2026-08-01, tiers carry one cache_price instead of separate read and write prices."""

    def tiers(version: str) -> dict[str, Any]:
        listed = copilot.get("/models", x_github_api_version=version).json()["data"]
        found = next(model for model in listed if model["id"] == "gpt-6.1-sol")
        prices: dict[str, Any] = found["billing"]["token_prices"]
        return prices

    for tier, price in (("default", 10), ("long_context", 20)):
        assert price == tiers("2026-06-01")[tier]["cache_price"]
        assert price == tiers("2026-08-01")[tier]["cache_read_price"]
        assert "cache_write_price" not in tiers("2026-06-01")[tier]


@pytest.mark.parametrize(
    ("simulator", "model", "price"),
    [("2026-11", "claude-sonnet-4.6", 300), ("future", "aurora-1", 100)],
    indirect=["simulator"],
)
def test_both_forms_of_prices_cost_the_same(copilot, model, price):
    """Tiers are in AI credits, and flat prices, like costs, in billionths of a credit."""
    answer = copilot.chat(model=model).json()
    costs = answer["copilot_usage"]["token_details"][0]
    assert ("input", price * 10**9) == (costs["token_type"], costs["cost_per_batch"])


@pytest.mark.parametrize("simulator", ["2026-11"], indirect=True)
def test_long_prompts_cost_more(simulator, copilot):
    """A prompt that exceeds the first tier's limit is billed at the second tier's prices."""
    model = simulator.state.model("gpt-6.1-sol")
    model["billing"]["token_prices"]["default"]["max_prompt_tokens"] = 100
    body = {"model": "gpt-6.1-sol", "input": "word " * 200}
    answer = copilot.post("/responses", body).json()
    assert 400 * 10**9 == answer["copilot_usage"]["token_details"][0]["cost_per_batch"]
