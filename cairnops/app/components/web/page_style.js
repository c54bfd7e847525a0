export default function ({ parentElement }) {
  root(parentElement, "co-page-style", () => undefined);
}
