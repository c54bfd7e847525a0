export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-person", (made) => {
    made.mark = el("span", "co-person-mark", "", { "aria-hidden": "true" });
    made.words = el("div", "co-person-words");
    made.address = el("div", "co-person-name");
    made.about = el("div", "co-person-role");
    made.words.append(made.address, made.about);
    made.append(made.mark, made.words);
  });
  put(node.mark, data.initials);
  put(node.address, data.email);
  node.address.title = data.email;
  renew(node.about, [data.role, data.note], () => [el("span", "", data.role), ...(data.note ? [chip(data.note, "warn")] : [])]);
}
