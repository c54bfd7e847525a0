const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain http from another machine there is no clipboard; what remains is to select and copy.
    const area = el("textarea", "co-hush");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
};

export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-copy", (made) => {
    const button = el("button", "", undefined, { type: "button" });
    made.label = el("span");
    button.append(icon("copy"), made.label);
    made.said = el("span", "", "", { role: "status" });
    made.append(button, made.said);
    button.addEventListener("click", async () => {
      const done = await copied(made.text);
      button.focus();
      put(made.said, done ? "Copied" : "Copying is not allowed here");
      clearTimeout(made.timer);
      made.timer = setTimeout(() => put(made.said, ""), 4000);
    });
  });
  node.text = data.text;
  put(node.label, data.label);
  return () => clearTimeout(node.timer);
}
