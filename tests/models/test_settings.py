"""A model is configured wholly, or not at all; a mistake is named, and never with the key."""

import traceback

import pytest
from pydantic import SecretStr, ValidationError

from holdfast.orchestrator.models import (
    LlmSettings,
    ModelMisconfigured,
    ScriptedClient,
    model_from_environment,
)
from holdfast.orchestrator.models.client import ChatClient

WHOLE = {
    "HOLDFAST_LLM_BASE_URL": "http://127.0.0.1:9/v1/",
    "HOLDFAST_LLM_API_KEY": "sk-secret-0123456789",
    "HOLDFAST_LLM_MODEL": "m-1",
}


def test_without_variables_the_offline_model_answers():
    assert isinstance(model_from_environment(), ScriptedClient)


def test_empty_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch):
    """Compose files pass `NAME=` for what is not set."""
    for name in WHOLE:
        monkeypatch.setenv(name, "")

    assert isinstance(model_from_environment(), ScriptedClient)


async def test_with_a_base_url_and_a_model_the_provider_answers(monkeypatch: pytest.MonkeyPatch):
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOLDFAST_LLM_FIRST_TOKEN_TIMEOUT_S", "12.5")

    settings = LlmSettings.from_environment()
    model = model_from_environment()

    assert isinstance(model, ChatClient)
    assert model.model == "m-1"
    assert (settings.base_url, settings.first_token_timeout_s) == ("http://127.0.0.1:9/v1", 12.5)
    await model.aclose()


def test_a_mistake_in_code_does_not_print_the_key_either():
    with pytest.raises(ValidationError) as caught:
        LlmSettings(api_key=SecretStr(WHOLE["HOLDFAST_LLM_API_KEY"]))
    with pytest.raises(ValidationError) as also_caught:
        LlmSettings.model_validate({"api_key": [WHOLE["HOLDFAST_LLM_API_KEY"]]})

    assert WHOLE["HOLDFAST_LLM_API_KEY"] not in str(caught.value) + str(also_caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"HOLDFAST_LLM_BASE_URL": ""}, "HOLDFAST_LLM_BASE_URL is missing"),
        ({"HOLDFAST_LLM_MODEL": ""}, "HOLDFAST_LLM_MODEL is missing"),
        ({"HOLDFAST_LLM_BASE_URL": "localhost:8080"}, "HOLDFAST_LLM_BASE_URL: must be an http(s)"),
        ({"HOLDFAST_LLM_BASE_URL": "http://h:x/v1"}, "HOLDFAST_LLM_BASE_URL: is not a URL"),
        ({"HOLDFAST_LLM_BASE_URL": "http://u:p@h/v1"}, "must have no user"),
        (
            {"HOLDFAST_LLM_BASE_URL": "http://h/v1/chat/completions"},
            "HOLDFAST_LLM_BASE_URL: must be the base only",
        ),
        ({"HOLDFAST_LLM_TOTAL_TIMEOUT_S": "0"}, "HOLDFAST_LLM_TOTAL_TIMEOUT_S: "),
        ({"HOLDFAST_LLM_TOTAL_TIMEOUT_S": "60000"}, "HOLDFAST_LLM_TOTAL_TIMEOUT_S: "),
        ({"HOLDFAST_LLM_MAX_RETRIES": "many"}, "HOLDFAST_LLM_MAX_RETRIES: "),
        ({"HOLDFAST_LLM_BASEURL": "http://h/v1"}, "did you mean HOLDFAST_LLM_BASE_URL?"),
    ],
)
def test_a_mistake_is_named_with_its_variable_and_without_the_key(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], complaint: str
):
    for name, value in {**WHOLE, **change}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ModelMisconfigured) as caught:
        model_from_environment()

    assert complaint in str(caught.value)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert WHOLE["HOLDFAST_LLM_API_KEY"] not in told
