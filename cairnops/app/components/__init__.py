"""Our own pieces of the screen; text from outside reaches the page as text and nothing else."""

from cairnops.app.components.background import (
    Toast,
    announcer,
    heartbeat,
    live,
    news,
    page_style,
    person,
    toasts,
)
from cairnops.app.components.case import (
    Banner,
    Bubble,
    Clock,
    Flag,
    Header,
    OrderFacts,
    Stretch,
    Tone,
    banners,
    case_header,
    editor,
    editor_text,
    thread,
)
from cairnops.app.components.queue import QueueRow, queue_table
from cairnops.app.components.tables import (
    Cell,
    Column,
    Part,
    Row,
    Tile,
    agenda_timer,
    copy_button,
    data_table,
    stat_tiles,
)

__all__ = [
    "Banner", "Bubble", "Cell", "Clock", "Column", "Flag", "Header", "OrderFacts", "Part", "QueueRow", "Row",
    "Stretch", "Tile", "Toast", "Tone", "agenda_timer", "announcer", "banners", "case_header", "copy_button",
    "data_table", "editor", "editor_text", "heartbeat", "live", "news", "page_style", "person", "queue_table",
    "stat_tiles", "thread", "toasts",
]  # fmt: skip
