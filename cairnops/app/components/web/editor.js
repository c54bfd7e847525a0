const DEBOUNCE_MS = 250;
let editors = 0;

const words = (text) => (text.match(/\S+/g) ?? []).length;
const changed = (diff) => {
  const count = (kind) => diff.filter((part) => part.kind === kind).reduce((n, part) => n + words(part.text), 0);
  const [added, removed] = [count("added"), count("removed")];
  const say = (n, verb) => (n ? [`${n} ${n === 1 ? "word" : "words"} ${verb}`] : []);
  return [...say(added, "added"), ...say(removed, "removed")].join(", ") || "only spaces or punctuation changed";
};

export default function ({ parentElement, data, setStateValue }) {
  const node = root(parentElement, "co-editor", (made) => {
    const id = `co-editor-${++editors}`;
    const area = el("textarea", data.mono ? "co-mono" : "", undefined, { id, spellcheck: "true", autocomplete: "off" });
    const label = el("label", "", data.label, { for: id });
    const count = el("span", "co-editor-count co-num", "", { id: `${id}-count` });
    area.setAttribute("aria-describedby", count.id);
    const top = el("div", "co-editor-top");
    top.append(label, count);
    const diff = el("div", "co-diff", undefined, { role: "group", "aria-label": "Changes against the suggestion" });
    const title = el("div", "co-diff-title");
    const sum = el("span", "co-num");
    title.append(el("b", "", "Your changes"), sum);
    // A stretch that scrolls must be reachable with the keyboard.
    const text = el("div", "co-diff-text", undefined, { tabindex: "0", role: "region", "aria-label": "Changed text" });
    diff.append(title, text);
    const heading = el("div", "co-heading");
    const [before, after] = [el("div", "co-quiet"), el("div", "co-quiet")];
    made.append(heading, before, top, area, diff, after);
    Object.assign(made, { heading, before, after, area, label, count, diff, text, sum, epoch: undefined, sent: undefined, timer: undefined });

    const send = () => {
      clearTimeout(made.timer);
      made.timer = undefined;
      if (made.area.value !== made.sent) made.send((made.sent = made.area.value));
    };
    made.flush = send;
    area.addEventListener("input", () => {
      made.measure();
      clearTimeout(made.timer);
      made.timer = setTimeout(send, DEBOUNCE_MS);
    });
    area.addEventListener("blur", send);
    // The window hears the key before any shortcut does: what the shortcut starts finds the newest text.
    made.onKey = (event) => {
      if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) send();
    };
    made.onHide = () => send();
    addEventListener("keydown", made.onKey, true);
    addEventListener("pointerdown", made.onHide, true);
    addEventListener("pagehide", made.onHide);
  });
  node.send = (text) => setStateValue("typed", { text, epoch: data.epoch });
  node.measure = () => {
    const used = [...node.area.value].length;
    const most = data.max_chars;
    put(node.count, most ? `${used} / ${most} characters` : "");
    node.count.classList.toggle("co-over", Boolean(most) && used > most);
    node.area.setAttribute("aria-invalid", String(Boolean(most) && used > most));
  };
  const { area } = node;
  for (const name of ["heading", "before", "after"]) {
    put(node[name], data[name]);
    show(node[name], Boolean(data[name]));
  }
  put(node.label, data.label);
  area.placeholder = data.placeholder;
  area.rows = data.rows;
  area.disabled = data.disabled;
  if (node.epoch !== data.epoch) {
    clearTimeout(node.timer);
    node.epoch = data.epoch;
    area.value = node.sent = data.text;
  }
  node.measure();
  const edited = Boolean(data.diff) && data.diff.some((part) => part.kind !== "kept");
  show(node.diff, edited);
  if (edited) {
    renew(node.text, data.diff, () =>
      data.diff.map(({ kind, text }) => {
        if (kind === "kept") return el("span", "", text);
        const mark = el(kind === "added" ? "ins" : "del");
        // Browsers hardly announce ins and del.
        mark.append(el("span", "co-hush", ` [${kind}: `), text, el("span", "co-hush", "] "));
        return mark;
      }),
    );
    put(node.sum, changed(data.diff));
  }
  return () => {
    node.flush();
    removeEventListener("keydown", node.onKey, true);
    removeEventListener("pointerdown", node.onHide, true);
    removeEventListener("pagehide", node.onHide);
    // Mounted again in the same place, it starts from what the server knows.
    node.remove();
  };
}
