const TOGETHER_MS = 80;
const SOON_MS = 10;
const LOST_AFTER_MS = 3000;
const AGAIN_MS = 2000;
const BUSY = ["initial", "running", "rerunRequested", "stopRequested"];

const running = () => BUSY.includes(document.querySelector("[data-testid=stApp]")?.dataset.testScriptState);

// What is sent while a page is being turned carries the name of the one before, and turns it back.
// The click comes before the page says that it is running; a page that never does is not waited for longer.
const TURNING_MS = 1000;
let turned = -Infinity;
const turning = new MutationObserver(() => {
  if (!running()) return;
  turned = -Infinity;
  turning.disconnect();
});
const turns = (event) => {
  if (!event.target.closest?.("a[data-testid=stSidebarNavLink], [data-testid=stPageLink] a")) return;
  turned = performance.now();
  turning.observe(document.querySelector("[data-testid=stApp]"), { attributeFilter: ["data-test-script-state"] });
};
const busy = () => performance.now() - turned < TURNING_MS || running();

export default function ({ parentElement, data, setTriggerValue }) {
  const node = root(parentElement, "co-live", (made) => {
    // Outside the page's root, which an open dialog makes inert and covers.
    made.status = el("div", "co", undefined, { role: "status", "data-live-announcer": "true" });
    document.body.append(made.status);
    made.known = data.version;
    let quiet, lost, again, source, due;

    const say = () => {
      quiet = undefined;
      const page = globalThis.__cairnopsNews;
      if (!due && made.newest === (page?.version ?? made.known)) return;
      if (busy()) {
        quiet = setTimeout(say, due ? SOON_MS : TOGETHER_MS);
        return;
      }
      // Without a version to start from, the first one heard is where the page stands.
      const tell = due || made.known !== null;
      made.known = made.newest;
      due = false;
      if (tell) (page ?? made).tell(made.newest ?? "");
    };
    // Somebody here has done something: the page shows it as soon as it can.
    made.hurry = () => {
      due = true;
      clearTimeout(quiet);
      quiet = setTimeout(say);
    };
    addEventListener("cairnops-due", made.hurry);
    const hear = (event) => {
      made.newest = String(JSON.parse(event.data));
      quiet ??= setTimeout(say, TOGETHER_MS);
    };
    const connect = () => {
      // Nobody looks at a hidden tab, and a browser has six lines to a server for all of its tabs together.
      if (document.hidden) return;
      source = new EventSource(data.url);
      source.onopen = () => {
        clearTimeout(lost);
        lost = undefined;
        made.status.replaceChildren();
      };
      source.onmessage = hear;
      source.onerror = () => {
        lost ??= setTimeout(() => {
          const said = chip("Connection lost. Trying again; what you typed is kept.", "bad", "alarm");
          said.classList.add("co-live-chip");
          const theme = getComputedStyle(made);
          said.style.cssText = `color:${theme.getPropertyValue("--st-red-text-color")};background:${theme.getPropertyValue("--st-red-background-color")};font-family:${theme.getPropertyValue("--st-font")}`;
          made.status.replaceChildren(said);
        }, LOST_AFTER_MS);
        // The browser tries again by itself after a broken line, not after a refusal.
        if (source.readyState === EventSource.CLOSED) again = setTimeout(connect, AGAIN_MS);
      };
    };
    made.rest = () => {
      for (const timer of [lost, again]) clearTimeout(timer);
      lost = again = undefined;
      source?.close();
    };
    made.look = () => {
      made.rest();
      connect();
    };
    document.addEventListener("visibilitychange", made.look);
    made.close = () => {
      document.removeEventListener("visibilitychange", made.look);
      removeEventListener("cairnops-due", made.hurry);
      clearTimeout(quiet);
      made.rest();
    };
    connect();
    document.addEventListener("click", turns, true);
  });
  node.tell = (version) => setTriggerValue("changed", version);
  return () => {
    node.close();
    document.removeEventListener("click", turns, true);
    node.status.remove();
    node.remove();
  };
}
