// The region lies outside the page's root, which an open dialog makes inert: what is inert is not read out. The
// mark on it keeps the dialog from hiding it too. It stays, and only its text changes: a region that comes
// together with its text is not read out either.
export default function ({ parentElement, data, setTriggerValue }) {
  const node = root(parentElement, "co-announcer", (made) => {
    made.line = el("div", "", "", { role: "status", "aria-live": "polite", "data-live-announcer": "true" });
    made.line.style.cssText = "position:fixed;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";
    document.body.append(made.line);
    made.due = data.due;
    made.opened = 0;
    // What is opened from here is drawn in the run that opens it; asked for from its place in the page it takes two.
    made.opens = (event) => {
      if (!made.kinds.includes(event.detail.kind)) return;
      event.preventDefault();
      made.open({ ...event.detail, seq: ++made.opened });
    };
    addEventListener("cairnops-open", made.opens);
  });
  node.kinds = data.opens;
  node.open = (what) => setTriggerValue("open", what);
  if (node.seq !== data.seq) {
    node.seq = data.seq;
    // The same words twice are a change only with something between them.
    node.line.textContent = "";
    requestAnimationFrame(() => put(node.line, data.text));
  }
  if (node.due !== data.due) {
    node.due = data.due;
    dispatchEvent(new Event("cairnops-due"));
  }
  return () => {
    removeEventListener("cairnops-open", node.opens);
    node.line.remove();
    node.remove();
  };
}
