export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-stats", (made) => {
    made.list = el("dl", "co-tiles");
    made.append(made.list);
  });
  const make = () => {
    const tile = el("div");
    tile.co = [el("dt"), el("dd", "co-tile-value"), el("dd", "co-tile-hint")];
    tile.append(...tile.co);
    return tile;
  };
  keyed(node.list, data.items, (item) => item.label, make, (tile, item) => {
    const [label, value, hint] = tile.co;
    tile.className = `co-tile co-${item.tone || "plain"}`;
    put(label, item.label);
    put(value, item.value);
    put(hint, item.hint || "");
    show(hint, Boolean(item.hint));
  });
}
