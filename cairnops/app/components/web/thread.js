const KINDS = new Set(["customer", "agent", "note", "system"]);
const WORD = { customer: "Customer", agent: "Agent", note: "Private note", system: "" };

const makeMessage = () => {
  const node = el("div");
  const meta = el("div", "co-msg-meta");
  const who = el("b");
  const what = el("span");
  const when = el("time", "co-num");
  const text = el("div", "co-msg-text", "", { dir: "auto" });
  meta.append(who, what, when);
  node.append(meta, text);
  node.co = { who, what, when, text };
  return node;
};

const updateMessage = (node, message) => {
  const { who, what, when, text } = node.co;
  const kind = KINDS.has(message.kind) ? message.kind : "system";
  node.className = `co-msg co-msg-${kind}`;
  put(who, message.author);
  renew(what, [kind, message.state], () => [
    ...(kind === "note" ? [chip(WORD.note, "warn", "lock")] : [el("span", "", WORD[kind])]),
    ...(message.state ? [document.createTextNode(" · "), el("span", "", message.state)] : []),
  ]);
  put(when, message.time);
  if (message.title) when.title = message.title;
  put(text, message.text);
};

export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-thread", (made) => {
    made.log = el("div", "co-thread-log", undefined, { role: "log", tabindex: "0", "aria-label": data.label });
    made.empty = el("p", "co-thread-empty", data.empty);
    made.head = el("div", "co-heading", data.label, { "aria-hidden": "true" });
    made.append(made.head, made.log, made.empty);
    made.count = 0;
  });
  const { log } = node;
  show(node.head, data.heading);
  log.style.maxHeight = `${data.height}px`;
  const atEnd = node.count === 0 || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  keyed(log, data.messages, (message, index) => message.id ?? index, makeMessage, updateMessage);
  show(log, data.messages.length > 0);
  show(node.empty, data.messages.length === 0);
  if (atEnd && data.messages.length !== node.count) {
    // The dialog around it has its height only after it was laid out; until then there is nothing to scroll.
    const toEnd = () => { log.scrollTop = log.scrollHeight; };
    toEnd();
    requestAnimationFrame(toEnd);
  }
  node.count = data.messages.length;
}
