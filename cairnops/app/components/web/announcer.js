// The region lies outside the page's root, which an open dialog makes inert: what is inert is not read out. The
// mark on it keeps the dialog from hiding it too. It stays, and only its text changes: a region that comes
// together with its text is not read out either.
export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-announcer", (made) => {
    made.line = el("div", "", "", { role: "status", "aria-live": "polite", "data-live-announcer": "true" });
    made.line.style.cssText = "position:fixed;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";
    document.body.append(made.line);
  });
  if (node.seq !== data.seq) {
    node.seq = data.seq;
    // The same words twice are a change only with something between them.
    node.line.textContent = "";
    requestAnimationFrame(() => put(node.line, data.text));
  }
  return () => {
    node.line.remove();
    node.remove();
  };
}
