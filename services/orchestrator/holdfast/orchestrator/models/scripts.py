"""What the scripted offline model says: one short text for each role of a software team.

The role is read from the first role name in the messages, the subject from the first thing a person
said.
"""

import re
from collections.abc import Callable, Sequence

from holdfast.orchestrator.models.chat import Message

# The first words of every answer: nobody shall take a script for a model.
ADMISSION = "[offline demo model: no HOLDFAST_LLM_BASE_URL is set]"

# A requirement is quoted in every answer; a pasted document is not.
SUBJECT_MAX = 80

_ROLE = re.compile(
    r"\b(boss|product[ _-]?manager|architect|project[ _-]?manager|engineer|qa|quality assurance"
    r"|tester)\b",
    re.IGNORECASE,
)
_LABELLED = re.compile(r"^\W*requirements?\W*[:=]\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_WISH = re.compile(
    r"^(?:(?:please|can you|could you|i want|i need|i would like|we want|we need|to|let's"
    r"|build|create|make|write|design|implement|develop|me|us)\s+)+",
    re.IGNORECASE,
)


def reply_to(messages: Sequence[Message]) -> str:
    """Return the scripted answer; the same messages always get the same one."""
    role = role_in(messages)
    script = _SCRIPTS.get(role or "", _anybody)
    return f"{ADMISSION} {script(subject_in(messages))}"


def role_in(messages: Sequence[Message]) -> str | None:
    """Return the team role that is to answer: the first one named, in system messages first."""
    ordered = sorted(messages, key=lambda m: m.get("role") not in ("system", "developer"))
    for message in ordered:
        found = _ROLE.search(text_of(message))
        if found:
            name = re.sub(r"[ _-]+", " ", found[0].lower())
            return {"quality assurance": "qa", "tester": "qa"}.get(
                name, name.replace("productm", "product m").replace("projectm", "project m")
            )
    return None


def subject_in(messages: Sequence[Message]) -> str:
    """Return what is to be built: what follows `Requirement:`, or what the user said first."""
    said = [text_of(m) for m in messages]
    for text in said:
        found = _LABELLED.search(text)
        if found:
            return _short(found[1])
    asked = (
        t for m, t in zip(messages, said, strict=True) if m.get("role") == "user" and t.strip()
    )
    return _short(next(asked, "")) or "this requirement"


def text_of(message: Message) -> str:
    """Return the message's text, whether its content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else ()
    return "".join(str(p.get("text", "")) for p in parts if isinstance(p, dict))


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    line = _WISH.sub("", line.strip()).strip(" \t.!?\"'`*")
    if len(line) <= SUBJECT_MAX:
        return line
    return line[: SUBJECT_MAX - 1].rsplit(" ", 1)[0] + "…"


def _boss(subject: str) -> str:
    return f"""I read the requirement as: {subject}.

**Goal.** A first version that one team can ship this week and one user can try today.

**In scope:** the core use of {subject}, a small HTTP API, data that survives a restart, and a
health check.
**Out of scope for now:** accounts, billing, and anything that needs a second service.

**We are done when** a new user succeeds within a minute without help, wrong input gets a clear
answer, and QA has signed off the acceptance list.

Product manager: please turn this into user stories, the riskiest first. Keep it to three."""


def _product_manager(subject: str) -> str:
    return f"""Product brief for {subject}.

**User stories**
1. As a visitor I use the main function of {subject} without signing up, and see the result at once.
2. As a returning user I find again what I made earlier, under the same address.
3. As an operator I see how often it is used and when it fails.

**Acceptance**
- The first result appears in under one second.
- The same request twice gives the same result, not two.
- Wrong input names the field and the reason.

**Measure:** nine of ten first visits end with a result. Story 2 carries the risk, so the architect
should settle storage first."""


def _architect(subject: str) -> str:
    return f"""Design for {subject}: one service, one table, no queue.

**Components**
- `api`: validates input and maps errors to status codes.
- `core`: the rules of {subject}; pure functions, no input or output.
- `store`: one interface, in memory for tests and Postgres in production.

**Data:** `items(id, key unique, value, created_at)`.
**Endpoints:** `POST /items` (201, or 200 if it exists),
`GET /items/{{key}}` (200 or 404), `GET /health`.

**Decisions.** Keys come from a hash of the content, so repeating a request is harmless. The unique
index, not the code, settles two writers at once. The main risk is growth of `items`; an expiry
column can follow."""


def _project_manager(subject: str) -> str:
    return f"""Plan for {subject}, four tasks:

1. **Store and core rules** (engineer, half a day): the interface, the memory version, unit tests.
2. **HTTP API** (engineer, half a day; needs 1): three endpoints, errors that explain themselves.
3. **Postgres store** (engineer, half a day; needs 1): the same tests, a real database.
4. **Acceptance** (QA, half a day; needs 2 and 3): each line of the brief, tried by hand.

Tasks 2 and 3 can run in parallel. **Risk:** the database may arrive late; then task 4 starts with
the memory store. **Checkpoint:** after task 1, show that saving something twice gives one entry."""


def _engineer(subject: str) -> str:
    return f'''Here is the core of {subject}, with its store in memory.

```python
"""The core of {subject}: save a value once, find it again by its key."""

import hashlib


class Store:
    def __init__(self) -> None:
        self._values: dict[str, str] = {{}}

    def save(self, value: str) -> str:
        if not value.strip():
            raise ValueError("value: must not be empty")
        key = hashlib.sha256(value.encode()).hexdigest()[:8]
        self._values.setdefault(key, value)
        return key

    def find(self, key: str) -> str | None:
        return self._values.get(key)


store = Store()
key = store.save("https://example.org")
assert store.save("https://example.org") == key
assert store.find(key) == "https://example.org"
```

Saving twice returns the same key, an empty value names its field, and an unknown key gives `None`,
which the API turns into 404. Next: the three endpoints.'''


def _qa(subject: str) -> str:
    return f"""Test report for {subject}.

| Check | Result |
|---|---|
| Save, then find by key | pass |
| Save the same value twice: one entry | pass |
| Empty value: refused, the field is named | pass |
| Unknown key: 404, no stack trace | pass |
| Two writers with the same value at once | not run: needs Postgres |

**Finding (minor):** keys have 32 bits, so about 77,000 entries bring an even chance of one
collision; compare the stored value before returning a key.

**Verdict: PASS with one remark.** Fit for a first release of {subject}; fix the finding before the
second."""


def _anybody(subject: str) -> str:
    return f"""You asked about {subject}. This is a fixed text that streams word by word, so that
you can watch runs, reconnects and replays without a provider.

To get real answers, set HOLDFAST_LLM_BASE_URL to any endpoint that speaks the OpenAI chat protocol,
HOLDFAST_LLM_MODEL to one of its models, and HOLDFAST_LLM_API_KEY if it wants a key; then restart
the worker. Everything else stays the same: the events, their order and their ids."""


_SCRIPTS: dict[str, Callable[[str], str]] = {
    "boss": _boss,
    "product manager": _product_manager,
    "architect": _architect,
    "project manager": _project_manager,
    "engineer": _engineer,
    "qa": _qa,
}
