"""The models that workflows talk to: any OpenAI-compatible provider, or a script without one.

`ChatModel.stream` is the one seam. `ChatClient` (in `client`) and the LangChain models (in
`langchain`) are imported when they are first wanted, as their libraries take a second to load.
"""

from holdfast.orchestrator.models.chat import (
    ChatModel,
    Chunk,
    FellBack,
    Finished,
    Message,
    ReasoningDelta,
    StartedOver,
    StartsOver,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from holdfast.orchestrator.models.errors import ModelError, ModelMisconfigured
from holdfast.orchestrator.models.fallback import FallbackModel
from holdfast.orchestrator.models.scripted import ScriptedClient
from holdfast.orchestrator.models.settings import LlmSettings

__all__ = [
    "ChatModel",
    "Chunk",
    "FallbackModel",
    "FellBack",
    "Finished",
    "LlmSettings",
    "Message",
    "ModelError",
    "ModelMisconfigured",
    "ReasoningDelta",
    "ScriptedClient",
    "StartedOver",
    "StartsOver",
    "TextDelta",
    "Tool",
    "ToolCallDelta",
    "model_from_environment",
]


def model_from_environment(settings: LlmSettings | None = None) -> ChatModel:
    """Return the configured provider's model, or the scripted one if no HOLDFAST_LLM_… is set.

    With fallback models configured, they stand in for it. Raises ModelMisconfigured that names
    every wrong variable. Opens no connection.
    """
    chosen = settings or LlmSettings.from_environment()
    if chosen.base_url is None:
        return ScriptedClient(token_delay_s=chosen.offline_token_delay_s)
    try:
        from holdfast.orchestrator.models.client import ChatClient
    except ModuleNotFoundError as error:
        raise ModelMisconfigured(
            f"A real model needs {error.name}: pip install 'holdfast[orchestrator]'"
        ) from error
    others = [ChatClient(other) for other in chosen.fallbacks()]
    return FallbackModel([ChatClient(chosen), *others]) if others else ChatClient(chosen)
