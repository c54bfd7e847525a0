"""Texts a customer might send to be more than text; every page that shows text from outside is tried with them."""

#: An address nothing listens on (reserved for documentation); a request to it fails the test.
AWAY = "http://203.0.113.7"

TEXTS = {
    "script": f"<script src='{AWAY}/x.js'></script><script>window.hacked = 1</script>",
    "image-tag": f"<img src='{AWAY}/i.png' onerror='window.hacked = 1'>",
    "svg-tag": f"<svg onload='window.hacked = 1'><image href='{AWAY}/v.png'/></svg>",
    "frame": f"<iframe src='{AWAY}/f'></iframe>",
    "style": f"<style>* {{ background: url({AWAY}/s.png) }}</style>",
    "markdown-image": f"![receipt]({AWAY}/r.png)",
    "markdown-image-reference": f"![receipt][r]\n\n[r]: {AWAY}/ref.png",
    "markdown-link": f"[Reset your password]({AWAY}/login)",
    "script-link": "[click](javascript:window.hacked=1)",
    "data-link": "[click](data:text/html,<script>window.hacked=1</script>)",
    "autolink": f"look at {AWAY}/auto or www.example.invalid/x or mail me@example.invalid",
    "angle-autolink": f"<{AWAY}/angle>",
    "badge": ":green-badge[Approved] :red[Blocked] :material/check: :streamlit: :smile: :+1:",
    "heading": "# Approved\n## by the lead\n---\n* item",
    "emphasis": "**bold** _under_ ~~gone~~ `code` ==mark==",
    "table": "| a | b |\n|---|---|\n| 1 | 2 |",
    "latex": "$\\href{http://203.0.113.7/k}{x}$ and $$\\frac{1}{2}$$ and $40 and $50",
    "mermaid": "```mermaid\ngraph TD; A-->B\n```",
    "entity": "&lt;b&gt; &amp; &#60;script&#62;",
    "arrows": "a -> b <- c -- d (c) 1/2",
    "bidi": "abc\u202egnp.exe \u2066hidden\u2069 \u200fright",
    "controls": "a\x00b\x07c\x1b[31mred\x1b[0m\x7f",
    "zero-width": "pay\u200bpal \ufeffx \u00adsoft",
    "template": "{{ customer }} ${window.hacked = 1} {% raw %} %s {0}",
    "formula": '=HYPERLINK("http://203.0.113.7";"x") +1 -1 @SUM(1)',
    "long-word": "A" * 400,
    "newlines": "first\r\nsecond\u2028third\n\n\nfourth",
    "quotes": "\"'`</textarea></title></style>--><x>",
}
