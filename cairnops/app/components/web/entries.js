const MARKS = { good: "check", bad: "stop", warn: "alarm", info: "info", note: "flag", plain: "" };

export default ({ parentElement, data, setTriggerValue }) => {
  const node = root(parentElement, "co-entries", (made) => {
    made.append(el("h3"), el("ul"), el("div", "co-entries-empty"));
    made.acted = 0;
    made.addEventListener("click", (event) => {
      const act = event.target.closest("[data-act]");
      if (act && !act.disabled) made.acts(act.dataset.act);
    });
  });
  node.acts = (key) => setTriggerValue("act", { key, seq: ++node.acted });
  const [heading, list, empty] = node.children;
  put(heading, data.label);
  show(heading, data.heading);
  list.setAttribute("aria-label", data.label);
  show(list, data.items.length > 0);
  show(empty, data.items.length === 0);
  put(empty, data.empty);
  const held = document.activeElement?.dataset?.act;
  keyed(list, data.items, (item) => item.key, () => el("li"), (li, item) => renew(li, item, () => {
    const mark = el("span", `co-entries-mark co-${item.tone}`, undefined, { "aria-hidden": "true" });
    if (MARKS[item.tone]) mark.append(icon(MARKS[item.tone]));
    const body = el("div", "co-entries-body");
    const head = el("div", "co-entries-head");
    head.append(el("span", "co-entries-title", item.title));
    if (item.chip) head.append(chip(item.chip, item.tone));
    body.append(head, ...item.lines.map((line) => el("div", "co-entries-line", line)));
    if (item.pair.length) {
      const dl = el("dl", "co-entries-pair");
      for (const [term, said] of item.pair) dl.append(el("dt", "", term), el("dd", "", said));
      body.append(dl);
    }
    if (item.codes.length) {
      const codes = el("div", "co-entries-codes");
      codes.append(...item.codes.map((code) => el("code", "", code)));
      body.append(codes);
    }
    const parts = [mark, body];
    if (item.meta) parts.push(el("span", "co-entries-meta co-num", item.meta));
    if (item.act) {
      parts.push(el("button", "co-entries-act", item.act, { type: "button", "data-act": item.key, "aria-label": `${item.act}: ${item.title}` }));
    }
    return parts;
  }));
  if (held && document.activeElement?.dataset?.act !== held) list.querySelector(`[data-act="${CSS.escape(held)}"]`)?.focus();
};
