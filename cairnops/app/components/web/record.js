const stretch = ({ kind, text }) => {
  if (kind === "kept") return el("span", "", text);
  const mark = el(kind === "added" ? "ins" : "del");
  // Browsers hardly announce ins and del.
  mark.append(el("span", "co-hush", ` [${kind}: `), text, el("span", "co-hush", "] "));
  return mark;
};

export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-record", (made) => made.append(el("h3"), el("dl")));
  const [head, list] = node.children;
  put(head, data.label);
  head.classList.toggle("co-hush", !data.show_label);
  renew(list, data.fields, () =>
    data.fields.map((field) => {
      const pair = el("div", field.quoted ? "co-record-wide" : "");
      const said = el("dd", `${field.mono ? "co-mono" : ""} ${field.quoted ? "co-quoted" : ""}`.trim());
      if (field.diff) said.append(...field.diff.map(stretch));
      else said.textContent = field.text;
      pair.append(el("dt", "", field.name), said);
      return pair;
    }),
  );
}
