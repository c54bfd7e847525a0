(() => {
  const value = (row, place) => {
    const cell = row.cells[place];
    const given = cell.dataset.v ?? cell.textContent.trim();
    return given !== "" && !isNaN(given) ? Number(given) : given;
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      button.title = "Sort by this";
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [value(row, place), row]);
        rows.sort((x, y) => (x[0] === "" || y[0] === "" ? 1 : down ? -1 : 1) * compare(x[0], y[0]));
        body.append(...rows.map((pair) => pair[1]));
      });
    });
  }
  const fits = (row, clauses) => {
    const tokens = new Set((row.dataset.t || "").split(" "));
    return clauses.every((clause) => {
      const at = clause.indexOf("=");
      return clause.slice(at + 1).split("|").some((v) => tokens.has(clause.slice(0, at + 1) + v));
    });
  };
  const show = () => {
    const hash = location.hash.slice(1);
    const [name, query] = hash.split("?");
    for (const part of document.querySelectorAll("[data-rows]")) {
      const clauses = part.dataset.rows === name && query ? query.replaceAll("%7C", "|").split("&") : [];
      const rows = [...part.querySelector("tbody").rows];
      let count = 0;
      for (const row of rows) count += !(row.hidden = !fits(row, clauses));
      const bar = part.querySelector(".filter");
      bar.hidden = !clauses.length;
      bar.querySelector("span").textContent =
        `${count} of ${rows.length} rows: ` +
        clauses.map((c) => { try { return decodeURIComponent(c); } catch { return c; } })
          .map((c) => c.replace("=", ": ").replaceAll("|", " or ")).join(", ");
      if (clauses.length) part.scrollIntoView();
    }
  };
  for (const button of document.querySelectorAll(".filter button"))
    button.addEventListener("click", () => { location.hash = button.closest("[data-rows]").dataset.rows; });
  addEventListener("hashchange", show);
  addEventListener("beforeprint", () => document.querySelectorAll("tr[hidden]").forEach((r) => { r.hidden = false; }));
  addEventListener("afterprint", show);
  show();
})();
