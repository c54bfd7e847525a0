// Toasts stand outside the page's root, which an open dialog makes inert and covers. Every redraw sends the last
// few with their numbers, and each number is shown once: a toast sent with a run that is overtaken by the next
// is not lost, which Streamlit's own are.
export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-toaster", (made) => {
    made.region = el("div", "co co-toasts", undefined, {
      role: "status", "aria-live": "polite", "data-live-announcer": "true",
    });
    document.body.append(made.region);
  });
  const theme = getComputedStyle(node);
  for (const name of ["text-color", "background-color", "border-color", "font", "link-color",
    "green-text-color", "red-text-color", "yellow-text-color", "secondary-background-color", "primary-color"]) {
    node.region.style.setProperty(`--st-${name}`, theme.getPropertyValue(`--st-${name}`));
  }
  for (const item of data.items) {
    if (item.seq <= (globalThis.__cairnopsToast ?? 0)) continue;
    globalThis.__cairnopsToast = item.seq;
    const toast = el("div", `co-toast co-toast-${item.tone}`, undefined, { "data-testid": "toast" });
    toast.append(icon({ good: "check", bad: "alarm", warn: "lock" }[item.tone] ?? "info"), el("span", "", item.text));
    node.region.append(toast);
    let timer;
    const arm = () => { timer = setTimeout(() => toast.remove(), data.life_ms); };
    toast.addEventListener("mouseenter", () => clearTimeout(timer));
    toast.addEventListener("mouseleave", arm);
    arm();
  }
  return () => {
    // A redraw that mounts this anew must not take down what is still being read.
    const region = node.region;
    setTimeout(() => region.remove(), data.life_ms);
    node.remove();
  };
}
