"""Sample workflows, real ones: `team` (a LangGraph software team) and `ticker` (an ordinary loop)."""
