const asCell = (cell) => (cell !== null && typeof cell === "object" ? cell : { text: cell ?? "" });
const words = (cell) => String(asCell(cell).text ?? "");
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const order = (cell) => asCell(cell).sort ?? asCell(cell).text ?? "";
const compare = (a, b) => {
  const [x, y] = [order(a), order(b)];
  // What is missing stands at the end whichever way the column is sorted.
  if ((x === "") !== (y === "")) return x === "" ? Infinity : -Infinity;
  return typeof x === "number" && typeof y === "number" ? x - y : collator.compare(String(x), String(y));
};

const drawCell = (td, cell, opens, label) => {
  const { tone, title } = asCell(cell);
  const text = words(cell);
  if (opens) td.append(el("button", "", text || label, { type: "button" }));
  else if (tone && text) td.append(chip(text, tone));
  else td.textContent = text;
  if (title) {
    td.title = title;
    td.append(el("span", "co-hush", ` (${title})`));
  }
};

export default function ({ parentElement, data, setTriggerValue }) {
  const node = root(parentElement, "co-table", (made) => {
    const table = el("table");
    made.caption = el("caption");
    made.line = el("tr");
    const thead = el("thead");
    thead.append(made.line);
    made.body = el("tbody");
    table.append(made.caption, thead, made.body);
    made.empty = el("div", "co-table-empty");
    made.append(table, made.empty);
    made.sorted = null;
    made.opened = 0;
    made.body.addEventListener("click", (event) => {
      const tr = event.target.closest("tr");
      if (made.opens && tr && !String(getSelection())) made.opens(tr.dataset.key);
    });
    // Only a table wider than its place scrolls, and only then it is a stop for the keyboard.
    made.watch = new ResizeObserver(() => made.fit());
    made.fit = () => {
      const wide = made.scrollWidth > made.clientWidth + 1;
      for (const [name, value] of Object.entries({ tabindex: "0", role: "region", "aria-label": made.caption.textContent })) {
        if (wide) made.setAttribute(name, value);
        else made.removeAttribute(name);
      }
    };
    made.watch.observe(made);
  });
  node.opens = data.opens ? (id) => setTriggerValue("open", { id, seq: ++node.opened }) : null;
  put(node.caption, data.caption);
  node.caption.classList.toggle("co-hush", !data.show_caption);

  const draw = () => {
    renew(node.line, [data.columns, data.sort, node.sorted], () =>
      data.columns.map((column, index) => {
        const th = el("th", column.align === "right" ? "co-right" : "", undefined, { scope: "col" });
        if (!data.sort) {
          th.textContent = column.label;
          return th;
        }
        const [at, way] = node.sorted ?? [];
        const button = el("button", "", undefined, { type: "button" });
        button.append(el("span", "", column.label), icon(at !== index ? "both" : way > 0 ? "up" : "down"));
        if (at === index) th.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
        button.addEventListener("click", () => {
          node.sorted = at !== index ? [index, 1] : way > 0 ? [index, -1] : null;
          draw();
          node.line.children[index].querySelector("button").focus();
        });
        th.append(button);
        return th;
      }),
    );
    let rows = data.rows;
    if (data.sort && node.sorted && data.columns[node.sorted[0]]) {
      const [at, way] = node.sorted;
      const { key } = data.columns[at];
      rows = [...rows].sort((a, b) => {
        const by = compare(a.cells[key], b.cells[key]);
        return Number.isFinite(by) ? by * way : by > 0 ? 1 : -1;
      });
    }
    keyed(node.body, rows, (row) => row.id, () => el("tr", data.opens ? "co-opens" : ""), (tr, row) =>
      renew(tr, [row.cells, data.columns, data.opens], () =>
        data.columns.map((column, index) => {
          const td = el("td", `${column.align === "right" ? "co-right" : ""} ${column.mono ? "co-mono" : ""}`.trim());
          drawCell(td, row.cells[column.key], data.opens && index === 0, row.id);
          return td;
        }),
      ),
    );
  };
  draw();
  put(node.empty, data.empty);
  show(node.empty, data.rows.length === 0);
  node.fit();
  return () => node.watch.disconnect();
}
