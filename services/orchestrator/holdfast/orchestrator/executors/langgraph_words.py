"""LangChain's messages in our words: texts, thoughts, usage, results of tools. Nothing here waits."""

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from holdfast.events.catalog import ErrorInfo, ToolCompleted, ToolFailed, Usage
from holdfast.orchestrator.executors.arguments import normal_result
from holdfast.orchestrator.problems import ERROR_TEXT_MAX


def returned(message: ToolMessage) -> ToolCompleted | ToolFailed:
    """Return a tool's result, or its failure."""
    call_id, name, text = message.tool_call_id, message.name or "tool", text_of(message)
    if message.status == "error":
        error = ErrorInfo(code="tool-failed", message=text[:ERROR_TEXT_MAX])
        return ToolFailed(call_id=call_id, name=name, error=error, duration_ms=0)
    result, content_type = normal_result(text)
    return ToolCompleted(
        call_id=call_id, name=name, result=result, content_type=content_type, duration_ms=0
    )


def is_answer(message: AIMessage) -> bool:
    """Tell a model's answer from a message that a node made up: LangChain names it after the model's run."""
    return bool(message.response_metadata) or (message.id or "").startswith(("lc_run-", "run-"))


def thought_of(message: BaseMessage) -> str:
    """Return what a model thought aloud before it answered, where the provider shows it."""
    return str(message.additional_kwargs.get("reasoning_content") or "")


def text_of(message: BaseMessage) -> str:
    """Return a message's text, whatever form its content has."""
    content: Any = message.content
    if isinstance(content, str):
        return content
    return "".join(
        block if isinstance(block, str) else str(block.get("text", ""))
        for block in content
        if isinstance(block, str) or block.get("type") == "text"
    )


def usage_of(message: AIMessage | None) -> Usage | None:
    """Return the tokens that a model's answer consumed, where the provider told."""
    found = message.usage_metadata if message else None
    if not found:
        return None
    return Usage(
        input_tokens=found.get("input_tokens"),
        output_tokens=found.get("output_tokens"),
        total_tokens=found.get("total_tokens"),
    )
