const PRIORITY = { P1: "bad", P2: "warn", P3: "info" };
let headers = 0;

// A press that changes what stands in the dialog takes its own button away, and the focus with it: until somebody
// gives it back, Escape and Tab would go to the page, which does not listen.
const keepFocus = (node) => {
  const dialog = node.closest("[role=dialog]");
  if (!dialog) return undefined;
  const kept = new MutationObserver(() => {
    if (dialog.isConnected && document.activeElement === document.body) dialog.focus({ preventScroll: true });
  });
  kept.observe(dialog, { childList: true, subtree: true });
  return kept;
};

export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-case", (made) => {
    const top = el("div", "co-case-top");
    const tip = el("span", "co-tip", undefined, { role: "tooltip", id: `co-case-tip-${++headers}` });
    const sla = el("span", "co-case-sla co-tipped", undefined, { tabindex: "0", role: "group", "aria-describedby": tip.id });
    const clock = el("span", "co-chip");
    made.inForce = el("span");
    made.other = el("span");
    tip.append(made.inForce, made.other);
    sla.append(clock, tip);
    made.facts = el("span", "co-chips");
    made.chips = el("div", "co-chips");
    made.order = el("section", "co-case-order", undefined, { "aria-label": "Order" });
    top.append(made.facts, sla);
    made.append(top, made.chips, made.order);
    Object.assign(made, { sla, clock });
    made.kept = keepFocus(made);
    escapeHidesTips(made);
  });
  renew(node.facts, [data.customer, data.conversation, data.status, data.priority], () => [
    ...(data.priority ? [chip(data.priority, PRIORITY[data.priority])] : []),
    ...(data.customer ? [el("span", "co-case-who", data.customer)] : []),
    el("span", "co-case-quiet co-num", `Conversation #${data.conversation}`),
    ...(data.status ? [el("span", "co-case-quiet", `· ${data.status}`)] : []),
  ]);
  renew(node.chips, [data.tags, data.flags], () => [
    ...data.flags.map(({ label, tone }) => chip(label, tone || "note", "flag")),
    ...data.tags.map((tag) => chip(tag)),
  ]);
  show(node.chips, data.tags.length + data.flags.length > 0);
  show(node.order, Boolean(data.order));
  if (data.order) {
    renew(node.order, data.order, () => {
      const title = el("div", "co-case-number");
      title.append(icon("order"), el("span", "", `Order ${data.order.number}`));
      const cues = el("ul", "co-case-cues");
      for (const cue of data.order.cues) cues.append(el("li", "", cue));
      return [title, ...(data.order.total ? [el("span", "co-case-total co-num", data.order.total)] : []), ...(data.order.cues.length ? [cues] : [])];
    });
  }
  put(node.inForce, data.clock);
  put(node.other, data.other_clock);
  node.tick = () => {
    const [tone, sign, text, words] = standing(data, serverNow(data.now_ms));
    renew(node.clock, [tone, sign, text], () => {
      node.clock.className = `co-chip co-${tone}`;
      return [icon(sign), el("span", "", `SLA ${text[0].toLowerCase()}${text.slice(1)}`)];
    });
    node.sla.setAttribute("aria-label", words);
  };
  node.tick();
  ticking(node, () => node.tick());
  return () => {
    stopTicking(node);
    node.kept?.disconnect();
  };
}
