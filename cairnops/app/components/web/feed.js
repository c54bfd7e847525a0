const utc = (ms) => { const d = new Date(ms); return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`; };

export default ({ parentElement, data }) => {
  const node = root(parentElement, "co-feed", (made) => {
    made.append(el("ol", "", undefined, { tabindex: "0" }), el("div", "co-feed-empty"));
  });
  const [list, empty] = node.children;
  const first = node.dataset.drawn === undefined;
  node.dataset.drawn = "1";
  list.setAttribute("aria-label", data.label);
  show(list, data.items.length > 0);
  show(empty, data.items.length === 0);
  put(empty, data.empty);
  keyed(list, data.items, (item) => item.key, (item) => {
    const li = el("li", first ? "" : "co-feed-new");
    const body = el("div", "co-feed-body");
    const head = el("div", "co-feed-head");
    if (item.case) head.append(el("b", "co-feed-case", item.case, { "aria-label": `Scenario ${item.case}` }));
    head.append(el("span", "co-feed-text", item.text));
    const foot = el("div", "co-feed-foot");
    foot.append(el("span", "", item.name, { title: item.who }), ...item.codes.map((code) => el("code", "", code)));
    body.append(head);
    if (item.detail) body.append(el("div", "co-feed-detail", item.detail));
    body.append(foot);
    li.append(el("time", "co-num", utc(item.at_ms), { datetime: new Date(item.at_ms).toISOString() }), el("i", `co-feed-dot co-${item.tone}`), body);
    return li;
  }, () => {});
};
