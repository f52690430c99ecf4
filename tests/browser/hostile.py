"""Words that would be more than words in a page that is careless with them."""

# Each would do something that a test sees if anything but text were made of it: a global, a request, a new element.
MARKUP = (
    "<script>window.pwned = 1</script>"
    '<img src="https://evil.example/i.png" onerror="window.pwned = 2">'
    '<svg onload="window.pwned = 3"><style>*{display:none}</style></svg>'
    '<iframe src="https://evil.example/"></iframe><base href="https://evil.example/">'
    '"><a href="javascript:window.pwned = 4" id="planted">click</a>'
    "</script><marquee>&lt;b&gt; &#60;i&#62; ${window.pwned = 5} {{constructor}}"
)

# What acts unseen: terminal escapes, marks that turn the direction, separators that end lines in scripts.
UNSEEN = (
    "\x1b[31mred\x1b]0;title\x07 back\x08 "
    "gpj.\u202eexe.evil\u202c \u2066isolated\u2069 \u200bzero\ufeffwidth "
    "line\u2028separator\u2029paragraph \\u0000 %00 \\x00 \x7f \x85"
)

# Unseen ones stand first, so that names and titles, which are cut short, hold them as well.
HOSTILE = f"\u202e\x1b[7m\u2028{MARKUP} {UNSEEN}"

LONG_LINE = "unbroken" * 5_000

LINKS = (
    "javascript:window.pwned = 6",
    " \x01JaVaScRiPt:window.pwned = 7",
    "java\nscript:window.pwned = 8",
    "data:text/html,<script>opener.pwned = 9</script>",
    "vbscript:window.pwned",
    "//evil.example/x",
    "https://evil.example/i.png",
    "file:///etc/passwd",
    "blob:https://evil.example/1",
)

MARKDOWN = "\n\n".join(
    [
        HOSTILE,
        *(f"[link {n}]({link}) ![image {n}]({link}) <{link}>" for n, link in enumerate(LINKS)),
        "[ref]: javascript:window.pwned=10\n[a reference][ref]",
        f"| a | {MARKUP} |\n|---|---|\n| b | {MARKUP} |",
        f"```html\n{MARKUP}\n```",
        "[" * 3_000 + "](" * 3_000 + "*" * 5_000 + "_a_" * 2_000 + "`" * 3_001,
        "> " * 2_000 + "deep",
    ]
)
