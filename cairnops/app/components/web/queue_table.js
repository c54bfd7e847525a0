const PRIORITY = { P1: "bad", P2: "warn", P3: "info" };
const COLUMNS = [["priority", "Priority"], ["case", "Customer"], ["waiting", "Waiting"], ["status", "Status"], ["sla", "SLA"]];
let tips = 0;

const makeRow = () => {
  const tr = el("tr");
  const cell = (name) => { const td = el("td", `co-c-${name}`); tr.append(td); return td; };
  const priority = cell("priority");
  const words = el("div", "co-queue-words");
  const head = el("div", "co-queue-head");
  const open = el("button", "", "", { type: "button" });
  const id = el("span", "co-queue-id co-num");
  const preview = el("div", "co-queue-preview");
  const chips = el("div", "co-chips");
  const box = el("div", "co-queue-case");
  head.append(open, id);
  words.append(head, preview);
  box.append(words, chips);
  cell("case").append(box);
  const waiting = cell("waiting");
  waiting.classList.add("co-num");
  const status = el("div", "co-queue-status");
  const delivery = el("div", "co-queue-status co-queue-quiet");
  cell("status").append(status, delivery);
  const sla = cell("sla");
  sla.classList.add("co-tipped");
  const slaText = el("span", "co-chip", "", { "aria-hidden": "true" });
  const slaWords = el("span", "co-hush");
  const tip = el("span", "co-tip", undefined, { id: `co-tip-${++tips}`, role: "tooltip" });
  const inForce = el("span");
  const other = el("span");
  tip.append(inForce, other);
  sla.append(slaText, slaWords, tip);
  tr.co = { open, id, preview, chips, priority, waiting, status, delivery, slaText, slaWords, tip, inForce, other };
  return tr;
};

const tickRow = (tr, now, from) => {
  const { row } = tr.co;
  const [tone, sign, text, words] = standing(row, now);
  if (tr.co.sign !== tone + sign) {
    tr.co.sign = tone + sign;
    tr.co.slaText.className = `co-chip co-${tone}`;
    tr.co.slaText.replaceChildren(icon(sign), el("span", "", text));
  } else put(tr.co.slaText.lastChild, text);
  put(tr.co.slaWords, words);
  put(tr.co.waiting, row.due_ms == null ? "—" : ago(row.waited_s * 1000 + (now - from)));
};

const updateRow = (tr, row, now, from) => {
  const co = tr.co;
  co.row = row;
  put(co.open, row.customer || "Customer");
  co.open.setAttribute("aria-label", `${row.customer || "Customer"}, conversation ${row.id}: open`);
  put(co.id, `#${row.id}`);
  put(co.preview, row.preview);
  co.preview.title = row.preview;
  renew(co.priority, row.priority, () => (row.priority ? [chip(row.priority, PRIORITY[row.priority])] : []));
  renew(co.chips, [row.tags, row.claimed_by, row.mine], () => [
    ...(row.claimed_by ? [chip(row.mine ? "Yours" : row.claimed_by, row.mine ? "good" : "note", row.mine ? "person" : "lock")] : []),
    ...row.tags.map((tag) => chip(tag)),
  ]);
  put(co.status, row.status);
  put(co.delivery, row.delivery);
  co.delivery.title = row.delivery;
  put(co.inForce, row.clock);
  put(co.other, row.other_clock);
  if (row.clock || row.other_clock) co.open.setAttribute("aria-describedby", co.tip.id);
  else co.open.removeAttribute("aria-describedby");
  co.tip.classList.toggle("co-hush", !(row.clock || row.other_clock));
  tr.classList.toggle("co-mine", row.mine);
  tickRow(tr, now, from);
};

// Focus can only enter the table once no dialog makes the page inert; a person who went elsewhere is left alone.
const focusWhenFree = (node, choose, frames = 30) => {
  node.waiting?.disconnect();
  const barred = () => document.querySelector("[role=dialog]") || node.closest("[inert], [aria-hidden=true]");
  if (barred()) {
    // The dialog goes first and the page stops being inert a little later.
    node.waiting = new MutationObserver(() => {
      if (!barred()) requestAnimationFrame(() => focusWhenFree(node, choose));
    });
    const attributeFilter = ["inert", "aria-hidden"];
    node.waiting.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter });
    return;
  }
  // Nobody holds it, something around the table does, or a row itself: then nobody chose to be elsewhere. What is
  // left of a closing dialog may hold it a few frames longer, or drop it again.
  const held = document.activeElement;
  if (!held || held.contains(node) || (frames === 30 && node.contains(held))) choose()?.focus();
  if (frames && node.isConnected) requestAnimationFrame(() => focusWhenFree(node, choose, frames - 1));
};

// The dialog a row opens gives the focus back by itself, unless it was closed before it had taken it.
const focusAfterDialog = (node, choose) => {
  node.waiting?.disconnect();
  node.waiting = new MutationObserver(() => {
    if (document.querySelector("[role=dialog]")) focusWhenFree(node, choose);
  });
  node.waiting.observe(document.body, { childList: true, subtree: true });
};

export default function ({ parentElement, data, setTriggerValue }) {
  // Who turns back to the page finds its rows as they were: making hundreds of them anew takes longer than the rest.
  const before = globalThis.__cairnopsQueue;
  if (before && !before.isConnected && !parentElement.querySelector(":scope > .co-queue")) parentElement.append(before);
  const node = root(parentElement, "co-queue", (made) => {
    const table = el("table");
    const line = el("tr");
    for (const [name, label] of COLUMNS) line.append(el("th", `co-c-${name}`, label, { scope: "col" }));
    const thead = el("thead");
    thead.append(line);
    made.body = el("tbody");
    table.append(el("caption", "co-hush", data.caption), thead, made.body);
    made.empty = el("div", "co-queue-empty", "", { tabindex: "-1" });
    const box = el("div", "co-queue-box");
    box.append(table, made.empty);
    made.append(box);
    made.table = table;
    made.seen = null;
    made.opened = 0;
    made.focusSeq = data.focus?.[1];
    escapeHidesTips(made);
    made.body.addEventListener("click", (event) => {
      const tr = event.target.closest("tr");
      if (tr && !String(getSelection())) made.opens(tr.co.row.id);
    });
    made.body.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const rows = [...made.body.children];
      const next = rows[rows.indexOf(event.target.closest("tr")) + step];
      if (next) {
        event.preventDefault();
        next.co.open.focus();
      }
    });
  });
  node.opens = (id) => {
    const before = [...node.body.children].map((tr) => tr.dataset.key);
    focusAfterDialog(node, () => node.nextTo(id, before));
    // Somebody else on the page may open it sooner.
    const asked = new CustomEvent("cairnops-open", { cancelable: true, detail: { kind: data.door, what: id } });
    if (!data.door || dispatchEvent(asked)) setTriggerValue("open", { id, seq: ++node.opened });
  };
  const now = serverNow(data.now_ms);
  const order = [...node.body.children].map((tr) => tr.dataset.key);
  const heldRow = document.activeElement?.closest?.("tr");
  const held = heldRow && node.body.contains(heldRow) ? heldRow.dataset.key : null;
  keyed(node.body, data.rows, (row) => row.id, makeRow, (tr, row) => updateRow(tr, row, now, data.now_ms));
  if (node.seen) {
    for (const tr of node.body.children) if (!node.seen.has(tr.dataset.key)) tr.classList.add("co-new");
  }
  node.seen = new Set([...node.body.children].map((tr) => tr.dataset.key));
  show(node.table, data.rows.length > 0);
  show(node.empty, data.rows.length === 0);
  put(node.empty, data.empty);

  // The row itself while it is there; once it left, the one that took its place.
  node.nextTo = (key, before) => {
    const rows = [...node.body.children];
    const stays = (k) => rows.find((tr) => tr.dataset.key === k);
    const from = Math.max(0, before.indexOf(key));
    const found = stays(key) ?? before.slice(from).map(stays).find(Boolean) ?? rows[Math.min(from, rows.length - 1)];
    return found ? found.co.open : node.empty;
  };
  const left = held !== null && !node.seen.has(held) ? held : null;
  if (left !== null) focusWhenFree(node, () => node.nextTo(left, order));
  const [id, seq] = data.focus ?? [];
  if (seq !== undefined && seq !== node.focusSeq) {
    node.focusSeq = seq;
    focusWhenFree(node, () => node.nextTo(String(id), order));
  }
  node.tick = () => {
    const at = serverNow(-Infinity);
    for (const tr of node.body.children) tickRow(tr, at, data.now_ms);
  };
  ticking(node, () => node.tick());
  globalThis.__cairnopsQueue = node;
  return () => {
    stopTicking(node);
    node.waiting?.disconnect();
  };
}
