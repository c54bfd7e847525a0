// A page's own ear: what it hears is told from within the part that is drawn again, which takes one run and not two.
export default function ({ parentElement, data, setTriggerValue }) {
  const node = root(parentElement, "co-news", () => undefined);
  node.tell = (version) => setTriggerValue("changed", version);
  node.version = data.version;
  globalThis.__cairnopsNews = node;
  return () => {
    if (globalThis.__cairnopsNews === node) delete globalThis.__cairnopsNews;
    node.remove();
  };
}
