export default function ({ parentElement, data }) {
  const node = root(parentElement, "co-heartbeat", (made) => {
    made.say = (gone) => {
      const body = JSON.stringify(gone ? { tab: made.tab, gone: true } : { tab: made.tab });
      if (gone) navigator.sendBeacon(made.url, body);
      // A beat that is lost is made up by the next one; the lease is longer than several.
      else fetch(made.url, { method: "POST", body, keepalive: true }).catch(() => undefined);
    };
    made.leave = () => made.say(true);
    // A page that comes back out of the browser's cache has let its claims go.
    made.back = () => made.say(false);
    addEventListener("pagehide", made.leave);
    addEventListener("pageshow", made.back);
  });
  node.url = data.url;
  if (node.tab !== data.tab || node.every !== data.every_ms) {
    node.tab = data.tab;
    node.every = data.every_ms;
    node.worker?.terminate();
    // In a tab that lies in the background a page's own timer slows down to one beat a minute; a worker's does not.
    const code = `setInterval(() => postMessage(0), ${Number(data.every_ms)})`;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    node.worker = new Worker(url);
    node.worker.onmessage = () => node.say(false);
    URL.revokeObjectURL(url);
    node.say(false);
  }
  return () => {
    node.worker.terminate();
    removeEventListener("pagehide", node.leave);
    removeEventListener("pageshow", node.back);
    node.remove();
  };
}
