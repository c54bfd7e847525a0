"""Spans of an action: one trace from the press of a button to its delivery elsewhere, without a customer's words."""

import asyncio
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cairnops.connectors.worker import Worker
from cairnops.desk.desk import Desk
from cairnops.domain.delivery import Answer, Effect, Found, Result
from cairnops.domain.policy import DeliveryPolicy
from cairnops.domain.requests import Request
from cairnops.errors import NotFound
from cairnops.settings import Settings
from cairnops.store.engine import open_sqlite
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.telemetry import tracing
from cairnops.workspace import destination

WORDS = ("Alex", "parcel", "carrier", "shop.example", "example.test", "order", "alex")


@pytest.fixture
def spans() -> Iterator[Callable[[], list[ReadableSpan]]]:
    """The spans that have ended, oldest first."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield lambda: list(exporter.get_finished_spans())
    tracing.use(None)
    provider.shutdown()


class Remote:
    """A help desk that times out once, has taken it nevertheless, and takes the rest."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def deliver(self, effect: Effect, *_: Any) -> Result:
        self.asked.append(effect.uid)
        if len(self.asked) == 1:
            return Result(answer=Answer.UNKNOWN, error_code="ETIMEDOUT")
        return Result(answer=Answer.OK)

    async def find(self, effect: Effect) -> Found:
        return Found.PRESENT if effect.uid in self.asked else Found.ABSENT


def deliver(engine: Any) -> None:
    quick = DeliveryPolicy(settle_ms=1, backoff_ms=1)
    worker = Worker(SqlOutbox(engine), Remote(), quick, owner="w", stamp=lambda: datetime.now(UTC))
    assert asyncio.run(worker.drain()) == 2


def named(found: list[ReadableSpan], name: str) -> list[ReadableSpan]:
    return [span for span in found if span.name == f"cairnops.{name}"]


def test_an_action_is_one_trace_to_its_delivery(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request], spans: Any
) -> None:
    desk = desk_on(SqlLedger(database.engine))
    receipt = desk.submit(approve())
    deliver(database.engine)
    (submit,), (commit,), delivered = (named(spans(), name) for name in ("submit", "commit", "deliver"))
    assert len({span.context.trace_id for span in spans()}) == 1
    assert submit.parent is None and commit.parent.span_id == submit.context.span_id
    assert {span.parent.span_id for span in delivered} == {commit.context.span_id}
    assert dict(submit.attributes) == {
        "cairnops.action": "approve_send", "cairnops.outcome": "apply", "cairnops.code": "", "cairnops.decision": 101,
    }  # fmt: skip
    assert dict(commit.attributes) == {"cairnops.decision": 101, "cairnops.effects": 2}
    told = [(s.attributes["cairnops.look"], s.attributes["cairnops.outcome"]) for s in delivered]
    assert sorted(told) == [(False, "SUCCESS"), (False, "again"), (True, "SUCCESS")]
    assert {s.attributes["cairnops.effect"] for s in delivered} == set(receipt.effects)
    assert [
        s.attributes["cairnops.error"] for s in delivered if s.attributes["cairnops.outcome"] == "again"
    ] == ["ETIMEDOUT"]


def test_spans_hold_no_words_and_few_attributes(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request], spans: Any
) -> None:
    desk = desk_on(SqlLedger(database.engine))
    desk.submit(approve())
    assert desk.submit(approve("k2", text="I will refund you 900 dollars, Alex")).refused
    with pytest.raises(NotFound):
        desk.submit(approve("k3", conversation="Alex Rivera"))
    deliver(database.engine)
    (refused,) = [s for s in spans() if s.attributes.get("cairnops.outcome") == "refuse"]
    assert refused.attributes["cairnops.code"]
    (failed,) = [s for s in spans() if not s.status.is_ok and s.status.description]
    assert (failed.name, failed.status.description) == ("cairnops.submit", "NotFound")
    for span in spans():
        assert set(span.attributes) <= {f"cairnops.{name}" for name in tracing.SAYS}
        assert not span.events and all(len(str(value)) <= 60 for value in span.attributes.values())
        assert [word for word in WORDS if word in span.to_json()] == []


def test_what_a_span_may_say_is_listed(spans: Any) -> None:
    with pytest.raises(KeyError), tracing.step("submit", text="Dear Alex"):
        pass
    with tracing.step("submit", action="a" * 500):
        pass
    assert [len(s.attributes["cairnops.action"]) for s in spans()] == [60]


def test_without_anybody_listening_nothing_is_carried_or_loaded(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk_on(SqlLedger(database.engine)).submit(approve())
    claim = SqlOutbox(database.engine).claim("w", now_ms=1, lease_ms=1)
    assert claim is not None and claim.effect.trace == ""


def test_the_product_works_where_it_is_not_installed(tmp_path: Path) -> None:
    """Asked to send spans and without the packages, it says so and goes on."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'opentelemetry': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "sys.argv = ['cairnops', 'worker', '--once', '-w', 'w']\n"
        "from cairnops.cli import main\n"
        "main()\n"
    )
    environ = dict(os.environ) | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": os.pathsep.join(sys.path)
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environ
    )
    assert done.returncode == 0 and "cairnops[otel]" in done.stderr, done.stderr


def test_a_worker_sends_its_spans(tmp_path: Path, desk_on: Any, approve: Any) -> None:
    """Over real HTTP, to whatever takes OTLP."""
    got: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    (tmp_path / "w").mkdir()
    engine = open_sqlite(tmp_path / "w" / "cairnops.db")
    desk_on(SqlLedger(engine, destination(tmp_path / "w", Settings({})))).submit(approve())
    engine.dispose()
    environ = dict(os.environ) | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "OTEL_BSP_SCHEDULE_DELAY": "50", "PYTHONPATH": os.pathsep.join(sys.path), "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "cairnops", "worker", "--once", "-w", "w"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environ,
    )  # fmt: skip
    server.shutdown()
    thread.join()
    server.server_close()
    assert done.returncode == 0, done.stderr
    assert {path for path, _ in got} == {"/v1/traces"}
    sent = b"".join(body for _, body in got)
    assert b"cairnops.deliver" in sent and b"cairnops-worker" in sent
    assert [word for word in WORDS if word.encode() in sent] == []
