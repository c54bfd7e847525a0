export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-agenda", (made) => {
    const line = el("div", "co-agenda-now");
    made.what = el("span", "co-agenda-title");
    made.left = el("span", "co-agenda-left", "", { role: "timer" });
    line.append(made.what, made.left);
    const bar = el("div", "co-agenda-bar", undefined, { "aria-hidden": "true" });
    made.fill = el("i");
    bar.append(made.fill);
    made.list = el("ol", "", undefined, { "aria-label": "Agenda" });
    made.append(line, bar, made.list);
  });
  const part = data.parts[data.index];
  put(node.what, part ? part.title : data.parts.length ? "Agenda finished" : "No agenda");
  renew(node.list, [data.parts, data.index], () =>
    data.parts.map(({ title, minutes }, index) => {
      const li = el("li");
      const mark = el("span", "co-agenda-mark");
      if (index < data.index) mark.append(icon("check"), el("span", "co-hush", "done"));
      if (index === data.index) {
        li.setAttribute("aria-current", "step");
        mark.append(icon("way"));
      }
      li.append(mark, el("span", "", title), el("span", "co-num", `${minutes} min`));
      return li;
    }),
  );
  node.tick = () => {
    const running = Boolean(part) && data.started_ms != null;
    const whole = (part?.minutes ?? 0) * 60000;
    const left = running ? data.started_ms + whole - serverNow(data.now_ms) : whole;
    put(node.left, !part ? "" : left >= 0 ? span(left) : `+${span(-left)}`);
    const over = left < 0;
    node.left.classList.toggle("co-over", over);
    node.left.title = over ? "over time" : running ? "left in this part" : "not started";
    node.fill.classList.toggle("co-over", over);
    node.fill.style.transform = `scaleX(${whole ? Math.min(1, Math.max(0, over ? 1 : 1 - left / whole)) : 0})`;
  };
  node.tick();
  ticking(node, () => node.tick());
  return () => stopTicking(node);
}
