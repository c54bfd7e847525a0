// Put before each component's own code. Text from outside enters the page through textContent only.
const el = (tag, cls = "", text = undefined, attributes = {}) => {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const show = (node, yes) => { if (node.hidden === yes) node.hidden = !yes; };

// One root in each mounted place; `made` builds it once, so that focus, scroll and typed text outlive a rerun.
const root = (parent, name, made) => {
  let node = parent.querySelector(`:scope > .${name}`);
  if (!node) {
    node = el("div", `co ${name}`);
    parent.append(node);
    made(node);
  }
  return node;
};

// Brings the children of `parent` in line with `items`, keeping the node of every key that stays.
const keyed = (parent, items, keyOf, make, update) => {
  const had = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const [index, item] of items.entries()) {
    const key = String(keyOf(item, index));
    let node = had.get(key);
    if (node) had.delete(key);
    else {
      node = make(item);
      node.dataset.key = key;
    }
    update(node, item, index);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of had.values()) node.remove();
};

const PATHS = {
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2",
  alarm: "M12 3 2.5 20h19L12 3zM12 10v4M12 17v.01",
  stop: "M8 3h8l5 5v8l-5 5H8l-5-5V8zM12 8v5M12 16v.01",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8v.01",
  check: "M5 12.5 10 17 19 7",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5a7.5 7.5 0 0 1 15 0",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  order: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
  cut: "M4 4l16 16M9.5 5H19v9.5M5 9.5V19h9.5",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  both: "M8 10l4-4 4 4M8 14l4 4 4-4",
  flag: "M5 21V4h12l-2 4 2 4H5",
  way: "M5 12h13M13 7l5 5-5 5",
};
const icon = (name) => {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "co-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
};
const chip = (text, tone = "plain", iconName = "") => {
  const node = el("span", `co-chip co-${tone}`);
  if (iconName) node.append(icon(iconName));
  node.append(el("span", "", text));
  return node;
};
// Replaces the children of `node` when `value` is another than last time.
const renew = (node, value, children) => {
  const stamp = JSON.stringify(value);
  if (node.dataset.stamp === stamp) return;
  node.dataset.stamp = stamp;
  node.replaceChildren(...children());
};

// The server's time, from the newest sample any component was given: a redraw with old data must not set it back.
const serverNow = (sample) => {
  const clock = (globalThis.__cairnopsClock ??= { at: -Infinity, ahead: 0 });
  if (sample > clock.at) {
    clock.at = sample;
    clock.ahead = sample - Date.now();
  }
  return Date.now() + clock.ahead;
};
const two = (n) => String(n).padStart(2, "0");
const span = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 3600) return `${two(Math.floor(s / 60))}:${two(s % 60)}`;
  const h = Math.floor(s / 3600);
  return h < 24 ? `${h} h ${two(Math.floor((s % 3600) / 60))} m` : `${Math.floor(h / 24)} d ${h % 24} h`;
};
const ago = (ms) => {
  const m = Math.max(0, Math.floor(ms / 60000));
  if (m < 1) return "under 1 m";
  if (m < 60) return `${m} m`;
  return m < 1440 ? `${Math.floor(m / 60)} h ${two(m % 60)} m` : `${Math.floor(m / 1440)} d ${Math.floor((m % 1440) / 60)} h`;
};
// Where a clock stands: [tone, icon, text, words for a screen reader].
const standing = ({ due_ms, breached, breached_at_ms }, now) => {
  if (breached || (due_ms != null && now > due_ms)) {
    const since = breached_at_ms ?? due_ms;
    const age = since == null ? "" : ` ${ago(now - since)}`;
    return ["bad", "alarm", `Breached${age}`, `SLA breached${age ? `${age} ago` : ""}`];
  }
  if (due_ms == null) return ["plain", "clock", "No clock", "No SLA clock is running"];
  const left = due_ms - now;
  return [left < 600000 ? "warn" : "plain", "clock", span(left), `${ago(left)} left under the SLA`];
};
// Ticks once a second while the node is in the page; started once for each root.
const ticking = (node, tick) => {
  if (node.coTimer) return;
  node.coTimer = setInterval(() => (node.isConnected ? tick() : stopTicking(node)), 1000);
};
const stopTicking = (node) => {
  clearInterval(node.coTimer);
  node.coTimer = undefined;
};
const escapeHidesTips = (node) => {
  node.addEventListener("keydown", (event) => {
    if (event.key === "Escape") node.classList.add("co-tips-off");
  });
  for (const back of ["focusin", "mouseover"]) {
    node.addEventListener(back, () => node.classList.remove("co-tips-off"));
  }
};
