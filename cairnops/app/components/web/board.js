const STEPS = ["seeded", "opened", "decided", "delivered", "debriefed"];
// The board is a table in any width; when its rows are stacked, the roles keep it one for a screen reader.
const cellOf = (seat, column) => {
  const td = el("td", "", undefined, { role: "cell" });
  td.append(el("span", "co-board-label", column));
  if (!seat.steps) {
    td.append(el("span", "co-board-none", seat.headline, { "aria-hidden": "true" }), el("span", "co-hush", "not seeded"));
    return td;
  }
  const button = el("button", `co-board-seat co-${seat.tone}`, undefined, {
    type: "button", "aria-pressed": String(seat.picked), "aria-label": [seat.name, seat.headline, ...seat.lines].join(", "),
  });
  const head = el("span", "co-board-head");
  head.append(el("span", "co-board-dot"), el("span", "co-board-headline", seat.headline));
  const track = el("span", "co-board-track");
  STEPS.forEach((_, place) => track.append(el("i", place < seat.steps ? "co-on" : "")));
  button.append(head, track, ...seat.lines.map((line) => el("span", "co-board-line", line)));
  button.dataset.pick = JSON.stringify([seat.scenario, seat.operator]);
  td.append(button);
  return td;
};

export default ({ parentElement, data, setTriggerValue }) => {
  const node = root(parentElement, "co-board", (made) => {
    const box = el("div", "co-board-box", undefined, { role: "region", tabindex: "0" });
    const table = el("table", "", undefined, { role: "table" });
    table.append(el("thead", "", undefined, { role: "rowgroup" }), el("tbody", "", undefined, { role: "rowgroup" }));
    box.append(table, el("div", "co-board-empty"));
    made.append(box);
    made.picked = 0;
    made.addEventListener("click", (event) => {
      const pick = event.target.closest("[data-pick]")?.dataset.pick;
      if (pick) made.picks(JSON.parse(pick));
    });
  });
  node.picks = ([scenario, operator]) => setTriggerValue("pick", { scenario, operator, seq: ++node.picked });
  const box = node.firstElementChild;
  const [table, empty] = box.children;
  box.setAttribute("aria-label", data.label);
  table.setAttribute("aria-label", data.label);
  show(table, data.rows.length > 0);
  show(empty, data.rows.length === 0);
  put(empty, data.empty);
  renew(table.tHead, data.columns, () => {
    const tr = el("tr", "", undefined, { role: "row" });
    const corner = el("th", "", "Operator", { role: "columnheader", scope: "col" });
    tr.append(corner, ...data.columns.map(({ short, title }) => {
      const th = el("th", "", undefined, { role: "columnheader", scope: "col" });
      th.append(el("b", "co-board-letter", short), el("span", "co-board-title", title, { title }));
      return th;
    }));
    return [tr];
  });
  const old = new Map([...table.tBodies[0].querySelectorAll("[data-pick]")].map((b) => [b.dataset.pick, b.textContent]));
  const kept = document.activeElement?.dataset?.pick;
  keyed(table.tBodies[0], data.rows, (row) => row.operator || "(shared)", () => el("tr", "", undefined, { role: "row" }),
    (tr, row) => renew(tr, row, () => {
      const th = el("th", "", undefined, { role: "rowheader", scope: "row" });
      th.append(el("span", "co-board-name", row.name), el("span", "co-board-mail", row.detail, { title: row.detail }));
      return [th, ...row.seats.map((seat, place) => cellOf(seat, `${data.columns[place].short} · ${data.columns[place].title}`))];
    }));
  for (const button of table.tBodies[0].querySelectorAll("[data-pick]")) {
    const before = old.get(button.dataset.pick);
    if (before !== undefined && before !== button.textContent) button.classList.add("co-board-moved");
    if (button.dataset.pick === kept && document.activeElement !== button) button.focus();
  }
};
