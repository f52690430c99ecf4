"""The same models for LangGraph nodes, as LangChain chat models. Needs the `langgraph` extra."""

from typing import TYPE_CHECKING

from holdfast.orchestrator.models.errors import ModelMisconfigured
from holdfast.orchestrator.models.settings import LlmSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def chat_model(settings: LlmSettings | None = None) -> "BaseChatModel":
    """Return the configured provider's model, or the scripted one if no HOLDFAST_LLM_… is set.

    Both stream inside a node, whether it calls `ainvoke` or `astream`. Raises ModelMisconfigured
    for wrong settings or where LangChain is not installed. Opens no connection.
    """
    chosen = settings or LlmSettings.from_environment()
    try:
        if chosen.base_url is None:
            from holdfast.orchestrator.models.langchain_scripted import ScriptedChatModel

            return ScriptedChatModel(token_delay_s=chosen.offline_token_delay_s)
        from holdfast.orchestrator.models.langchain_provider import provider_chat_model

        return provider_chat_model(chosen)
    except ModuleNotFoundError as error:
        raise ModelMisconfigured(
            f"LangGraph workflows need {error.name}: pip install 'holdfast[langgraph]'"
        ) from error
