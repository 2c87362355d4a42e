"""Parts that cannot break out of their place."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from uptime_exporter.html import Html, element, join, text

ANYTHING = st.text(st.characters())
NASTY = ANYTHING | st.text(st.sampled_from("<>&\"'=/! -scriptonerror\u202e\x00\ud800"))


class Tags(HTMLParser):
    """Collects tags with their attributes, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.data += data

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", [(data, None)]))


def parsed(html: str) -> Tags:
    parser = Tags()
    parser.feed(html)
    parser.close()
    return parser


@given(NASTY, NASTY)
def test_no_text_becomes_a_tag_or_an_attribute(child: str, value: str) -> None:
    """Whatever a target says stays text, between the tags and in an attribute."""
    page = parsed(element("p", child, title=value))

    assert [tag for tag, _ in page.tags] == ["p"]
    assert [name for name, _ in page.tags[0][1]] == ["title"]


@given(NASTY)
def test_every_text_can_be_sent(said: str) -> None:
    """Half a surrogate pair in a target's message does not cost the page."""
    text(said).encode("utf-8")


def test_what_reorders_or_cannot_be_shown_is_replaced() -> None:
    """A direction override must not make one word look like another."""
    assert text("a\u202eb\x00c\ud800d\x7f\n\te") == "a\ufffdb\ufffdc\ufffdd\ufffd\n\te"


def test_plain_text_survives() -> None:
    """Escaping changes the spelling, not the meaning."""
    said = 'Tür & "Tor" <b>\'s'

    assert parsed(text(said)).data == said


def test_html_is_not_escaped_twice() -> None:
    """Parts that are HTML already are put in as they are."""
    assert element("p", element("b", "1 < 2"), " & so") == "<p><b>1 &lt; 2</b> &amp; so</p>"
    assert join([Html("<br>"), "<br>"], by=", ") == "<br>, &lt;br&gt;"


def test_attributes_are_spelt_for_html() -> None:
    """Python's reserved words and hyphens find their way, None leaves an attribute out."""
    assert (
        element("meta", http_equiv="refresh", class_="x", id=None) == '<meta http-equiv="refresh" class="x">'
    )
