"""How long the desk makes people wait, beside a bare Streamlit dialog in the same run; and 25 of them at once.

Run it: python tests/bench/bench_desk.py
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from playwright.async_api import async_playwright
from playwright.async_api import expect as expect_async
from playwright.sync_api import Browser, Page, expect, sync_playwright

from cairnops.app import launch
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.settings import Settings
from cairnops.workspace import Workspace, now
from tests.acceptance.desk.conftest import _ARGUMENTS, ALEX, MORGAN, settled, start
from tests.app.server import Desk, serving

ROUNDS = 30
ROWS = 40
PEOPLE, EACH, WITHIN_S = 25, 4, 60
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""

BARE = """
import streamlit as st

part = st.components.v2.component(
    "part", js="export default ({ parentElement, data }) => { parentElement.textContent = data.text; }"
)

def approved():
    st.session_state.said = st.session_state.get("said", 0) + 1
    st.session_state.told = False
    st.rerun()

@st.dialog("Case")
def case():
    st.text_area("Reply", "Hi there, your order is on its way.")
    if st.button("Approve"):
        approved()

@st.dialog("Full", width="large")
def full():
    part(key="head", data={"text": "part"})
    left, right = st.columns([5, 6])
    with left:
        for key in ("thread", "banners"):
            part(key=key, data={"text": "part"})
    with right:
        for key in ("reply", "note"):
            part(key=key, data={"text": "part"})
        st.expander("Follow-up")
    with st.container(horizontal=True, horizontal_alignment="right"):
        for name in ("Cancel", "Resolve", "Escalate"):
            st.button(name)
        if st.button("Approve"):
            approved()

def desk():
    st.title("Desk")
    if st.button("Open"):
        case()
    if st.button("Full"):
        full()
    if not st.session_state.get("told", True):
        st.session_state.told = True
        st.toast(f"Saved {st.session_state.said}.")

def results():
    st.title("Results")

st.navigation([st.Page(desk, title="Desk", default=True), st.Page(results, title="Results")]).run()
"""

# From the moment of the click or key until what is waited for stands in the page.
_WAIT = """
globalThis.toasts = () => [...document.querySelectorAll("[data-testid=toast], [data-testid=stToast]")];
globalThis.waitFor = (there) => {
    let begun, done;
    globalThis.old = new Set(toasts());
    globalThis.waited = new Promise((resolve) => { done = resolve; });
    const began = (event) => { begun ??= event.timeStamp; };
    for (const kind of ["click", "keydown"]) addEventListener(kind, began, true);
    const look = () => {
        if (begun === undefined || !there()) return;
        const took = performance.now() - begun;
        clearInterval(poll);
        watch.disconnect();
        for (const kind of ["click", "keydown"]) removeEventListener(kind, began, true);
        done(took);
    };
    const watch = new MutationObserver(look);
    watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    const poll = setInterval(look, 2);
};
globalThis.orFail = (promise) => Promise.race([promise,
    new Promise((_, fail) => setTimeout(() => fail(new Error("not seen within 30 s")), 30000))]);
globalThis.sees = (there) => {
    globalThis.seen = new Promise((resolve) => {
        const look = () => {
            if (!there()) return;
            clearInterval(poll);
            watch.disconnect();
            resolve(performance.timeOrigin + performance.now());
        };
        const watch = new MutationObserver(look);
        watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        const poll = setInterval(look, 2);
    });
};
"""
_MODAL = """() => document.querySelector('[role=dialog] .co-msg-text') &&
    document.querySelector('[role=dialog] .co-editor textarea')?.value &&
    [...document.querySelectorAll('[role=dialog] button')].some((b) => b.textContent.startsWith('Approve') && !b.disabled)"""
_ROWS = "() => document.querySelectorAll('.co-queue tbody tr').length > 5 && document.querySelector('h1')?.textContent.startsWith('Desk')"


def case(number: int) -> Conversation:
    begun = now().replace(microsecond=0) - timedelta(hours=3)
    said = [
        Message(
            id=f"{number}{n}",
            author=Author.CUSTOMER if n % 2 else Author.SYSTEM,
            text="Where is my order? It was meant to leave yesterday." if n % 2 else "Assigned to the team",
            at=begun + timedelta(minutes=n),
        )
        for n in range(1, 6)
    ]
    return Conversation(
        id=str(number),
        customer=f"Jamie Lee {number}",
        customer_key=f"c{number}@shop.example",
        status=Status.OPEN,
        created_at=begun,
        messages=tuple(said),
        tags=("shipping_delay",),
    )


def took(page: Page, until: str, act: Callable[[], object]) -> float:
    """Milliseconds from the press in `act` until the page has what `until` looks for."""
    page.evaluate(f"waitFor({until})")
    act()
    return float(page.evaluate("orFail(waited)"))


def says(text: str) -> str:
    """A toast with that text which was not there when the waiting began."""
    return f"() => toasts().some((n) => n.textContent.includes('{text}') && !old.has(n))"


def of_desk(browser: Browser, desk: Desk, spent: dict[str, list[float]]) -> Iterator[None]:
    """One case after the other from opening to the toast, beside a second person who turns pages."""
    first, second = (browser.new_context(viewport={"width": 1360, "height": 900}).new_page() for _ in "ab")
    for page, who in ((first, ALEX), (second, MORGAN)):
        page.add_init_script(_WAIT)
        page.goto(desk.url(f"{who.email}:{who.role.value}"))
        expect(page.get_by_role("row")).to_have_count(ROWS + 1)
        settled(page)
    for number in range(6001, 6001 + ROUNDS + 2):
        row = first.locator(f'tr[data-key="{number}"] button')
        claimed = (
            f"() => document.querySelector('tr[data-key=\"{number}\"]')?.textContent.includes('{ALEX.email}')"
        )
        second.evaluate(f"sees({claimed})")
        first.evaluate(
            "addEventListener('click', (e) => { clicked = performance.timeOrigin + e.timeStamp; }, {capture: true, once: true})"
        )
        opened = took(first, _MODAL, row.click)
        elsewhere = second.evaluate("orFail(seen)") - first.evaluate("clicked")
        settled(first)
        toast = took(
            first,
            says("Decision logged"),
            first.get_by_role("button", name="Approve & send").click,
        )
        expect(first.get_by_role("dialog")).to_have_count(0)
        settled(first)
        settled(second)
        away = took(
            second,
            "() => document.querySelector('h1')?.textContent.startsWith('Decisions') && document.querySelector('table')",
            second.get_by_role("link", name="Decisions").click,
        )
        settled(second)
        back = took(second, _ROWS, second.get_by_role("link", name="Desk").click)
        settled(second)
        if number >= 6003:
            for name, value in zip(STEPS, (opened, toast, back, away, elsewhere), strict=True):
                spent.setdefault(name, []).append(value)
        yield


STEPS = (
    "click -> modal complete",
    "approve -> toast",
    "page switch, to the desk",
    "page switch, to decisions",
    "queue elsewhere after a claim",
)
BARES = (
    "bare: click -> dialog",
    "bare: approve -> toast",
    "bare: page switch",
    "bare: click -> as many parts",
    "bare: approve among them -> toast",
)
#: What a prototype reached, median and p95.
AIM = dict(zip(STEPS, ((69, 106), (49, 81), (44, 65), None, (212, 280)), strict=True))


@contextmanager
def bare_app(folder: Path) -> Iterator[str]:
    """Streamlit as it comes, with a dialog, a toast and two pages."""
    (folder / "bare.py").write_text(BARE, encoding="utf-8")
    port = launch.free("127.0.0.1", 0)
    options = {
        "server.port": port, "server.headless": "true", "browser.gatherUsageStats": "false",
        "server.address": "127.0.0.1", "server.fileWatcherType": "none",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "bare.py",
        *(f"--{k}={v}" for k, v in options.items()),
    ]
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=12), trust_env=False) as client:
            client.get(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


def of_bare(browser: Browser, base: str, spent: dict[str, list[float]]) -> Iterator[None]:
    """The same with what Streamlit brings; then once more with as many parts in the dialog as a case has."""
    page = browser.new_context(viewport={"width": 1360, "height": 900}).new_page()
    page.add_init_script(_WAIT)
    page.goto(base)
    expect(page.get_by_role("button", name="Open")).to_be_visible()
    settled(page)
    button = "[...document.querySelectorAll('[role=dialog] button')].some((b) => b.textContent === 'Approve')"
    field = f"() => document.querySelector('[role=dialog] textarea')?.value && {button}"
    parts = f"""() => [...document.querySelectorAll('[role=dialog] [data-testid=stBidiComponentIsolated]')]
        .filter((n) => n.shadowRoot?.textContent === 'part').length === 5 && {button}"""
    said = 0
    for number in range(ROUNDS + 2):
        took_ms = []
        for name, there in (("Open", field), ("Full", parts)):
            said += 1
            opened = took(page, there, page.get_by_role("button", name=name).click)
            settled(page)
            toast = took(page, says(f"Saved {said}."), page.get_by_role("button", name="Approve").click)
            expect(page.get_by_role("dialog")).to_have_count(0)
            settled(page)
            took_ms += [opened, toast]
        for title in ("Results", "Desk"):
            back = took(
                page,
                f"() => document.querySelector('h1')?.textContent.startsWith('{title}')",
                page.get_by_role("link", name=title).click,
            )
            settled(page)
        if number > 1:
            for name, value in zip(BARES, (*took_ms[:2], back, *took_ms[2:]), strict=True):
                spent.setdefault(name, []).append(value)
        yield


def table(spent: dict[str, list[float]]) -> None:
    bare = dict(zip(STEPS, (BARES[0], BARES[1], BARES[2], BARES[2], None), strict=True))
    print(f"{'step':<36}{'median ms':>10}{'p95 ms':>8}{'aim':>12}{'x bare':>8}   ({ROUNDS} rounds)")
    for name in (*STEPS, *BARES):
        values = sorted(spent[name])
        aim = AIM.get(name)
        beside = bare.get(name)
        ratio = f"{statistics.median(values) / statistics.median(spent[beside]):.1f}" if beside else ""
        print(
            f"{name:<36}{statistics.median(values):>10.0f}{values[int(0.95 * (len(values) - 1))]:>8.0f}"
            f"{f'{aim[0]} / {aim[1]}' if aim else '':>12}{ratio:>8}"
        )


# Everybody at once.


def used(pid: int) -> tuple[float, float]:
    """Seconds of processor time so far, and megabytes resident."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), pages * os.sysconf(
        "SC_PAGE_SIZE"
    ) / 1e6


async def everybody(desk: Desk) -> None:
    """Each person works their own cases from opening to the toast, until all are done or the time is up."""
    seen = {"opened": 0, "toasts": 0}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        at_first = used(desk.process.pid)[1]
        pages = []
        for n in range(PEOPLE):
            # Everybody has a browser of their own: one opens six lines to a server and no more.
            context = await browser.new_context(
                viewport={"width": 1100, "height": 700}, reduced_motion="reduce"
            )
            page = await context.new_page()
            await page.goto(desk.url(f"op{n:02}@practice.example:operator"))
            await expect_async(page.get_by_role("row").nth(3)).to_be_visible(timeout=60_000)
            pages.append(page)
        cpu_before, there = used(desk.process.pid)
        await asyncio.sleep(10)
        cpu_idle, _ = used(desk.process.pid)
        until = time.monotonic() + WITHIN_S

        async def work(n: int) -> None:
            page = pages[n]
            await asyncio.sleep(n / PEOPLE * 5)
            for k in range(EACH):
                if time.monotonic() > until:
                    return
                number = 7000 + n * EACH + k
                await page.locator(f'tr[data-key="{number}"] button').click(timeout=60_000)
                dialog = page.get_by_role("dialog")
                await expect_async(dialog.get_by_label("Reply text")).to_be_visible(timeout=60_000)
                seen["opened"] += 1
                await dialog.get_by_label("Internal note").fill(f"worked by {n}")
                await dialog.get_by_role("button", name="Approve & send").click(timeout=60_000)
                await expect_async(dialog).to_have_count(0, timeout=60_000)
                seen["toasts"] += 1
                # Nobody opens the next case at once.
                await asyncio.sleep(3)

        began = time.monotonic()
        outcomes = await asyncio.gather(*(work(n) for n in range(PEOPLE)), return_exceptions=True)
        spent_s = time.monotonic() - began
        cpu_after, after = used(desk.process.pid)
        await browser.close()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            print(f"  failed: {str(outcome).splitlines()[0]}")
    with Workspace.open(desk.log.with_suffix(""), Settings()) as w:
        recorded = sum(1 for d in w.ledger.decisions(scope="ops") if d["actor"]["email"].startswith("op"))
        claims = [e for e in w.ledger.events(kind="claim.taken") if e["actor"].startswith("op")]
        replies = [d for d in w.ledger.deliveries() if d["kind"] == "reply" and d["final"]]
    actions = seen["opened"] + seen["toasts"]
    print(
        f"{PEOPLE} sessions, {PEOPLE * EACH} cases waiting, {spent_s:.0f} s, {actions / spent_s:.1f} actions a second"
    )
    print(f"  opened {seen['opened']}, recorded {len(claims)}; approved {seen['toasts']}, recorded {recorded}, "
          f"delivered {sum(1 for r in replies if r['final']['status'] == 'SUCCESS')} of all")  # fmt: skip
    print(f"  processor: idle {(cpu_idle - cpu_before) * 10:.1f} %, working {(cpu_after - cpu_idle) / spent_s * 100:.0f} % of one core"
          f" ({(cpu_after - cpu_idle) / actions * 1000:.0f} ms an action with everybody's redraw)")  # fmt: skip
    print(f"  memory: {at_first:.0f} MB before, {there:.0f} MB with {PEOPLE} sessions, {after:.0f} MB after the work"
          f" ({(after - at_first) / PEOPLE:.1f} MB a session)")  # fmt: skip


def main(folder: Path) -> None:
    spent: dict[str, list[float]] = {}
    workspace = folder / "one" / "desk"
    start(workspace, ALEX, letters="A", others=[case(6001 + n) for n in range(ROWS)])
    with serving(workspace) as desk, bare_app(folder) as bare, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        # Turn and turn about: what else this machine does meanwhile slows down both alike.
        for _ in zip(of_desk(browser, desk, spent), of_bare(browser, bare, spent), strict=True):
            pass
        browser.close()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    table(spent)
    workspace = folder / "many" / "desk"
    people = [Actor(email=f"op{n:02}@practice.example") for n in range(PEOPLE)]
    start(workspace, *people, letters="", others=[case(7000 + n) for n in range(PEOPLE * EACH)])
    with serving(workspace) as desk:
        asyncio.run(everybody(desk))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
