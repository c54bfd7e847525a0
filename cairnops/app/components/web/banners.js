const SEVERITY = {
  block: ["bad", "stop", "Blocked"],
  warn: ["warn", "alarm", "Check"],
  info: ["info", "info", "Note"],
};

const fill = (node, banner) => {
  const open = node.querySelector("details")?.open;
  const [tone, sign, word] = banner.overridden ? ["info", "check", "Overridden"] : (SEVERITY[banner.severity] ?? SEVERITY.info);
  node.className = `co-banner co-${tone}`;
  renew(node, banner, () => {
    const line = el("div", "co-banner-line");
    line.append(el("b", "", `${word}: `), el("span", "", banner.sentence));
    const parts = [icon(sign), line];
    if (banner.way_out) {
      const way = el("div", "co-banner-way");
      way.append(icon("way"), el("span", "co-hush", "Way out: "), el("span", "", banner.way_out));
      parts.push(way);
    }
    const small = el("div", "co-banner-small");
    if (banner.threshold) small.append(el("span", "co-num", `Threshold in force: ${banner.threshold}`));
    small.append(el("code", "", banner.code));
    parts.push(small);
    if (banner.explanation) {
      const details = el("details");
      details.append(el("summary", "", "Why this speaks"), el("p", "", banner.explanation));
      details.open = Boolean(open);
      parts.push(details);
    }
    return parts;
  });
};

export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-banners", (made) => {
    made.list = el("ul", "", undefined, { "aria-label": data.label });
    made.alert = el("div", "co-hush", "", { role: "alert" });
    made.append(made.list, made.alert);
    made.known = data.known && new Set(data.known);
  });
  const blocks = data.banners.filter((banner) => banner.severity === "block" && !banner.overridden);
  keyed(node.list, data.banners, (banner, index) => `${banner.code} ${data.banners.slice(0, index).filter((b) => b.code === banner.code).length}`, () => el("li"), fill);
  show(node.list, data.banners.length > 0);
  // Whoever opens a case reads its blocks in their place; only one that comes while they work interrupts.
  if (node.known) {
    const fresh = blocks.filter((banner) => !node.known.has(banner.code));
    // What comes together with its text is not read out: the text comes a moment later.
    const said = fresh.map((banner) => `Blocked: ${banner.sentence}`).join(" ");
    if (fresh.length) requestAnimationFrame(() => put(node.alert, said));
    else if (!blocks.length) put(node.alert, "");
  }
  node.known = new Set(blocks.map((banner) => banner.code));
}
