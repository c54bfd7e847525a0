// The summary most people would write: read a line, parse it, count. The peer of bench_ingest.py in Node.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

const totals = { success: 0, failure: 0, unknown: 0, skipped: 0 };
const kinds = { SUCCESS: "success", TIMEOUT: "failure", FAILURE: "failure" };
const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
const statuses = new Map(), scopes = new Map(), errors = new Map(), hours = new Map(), retries = new Map();
const durations = [];
let start, end;

const lines = createInterface({ input: createReadStream(process.argv[2], { highWaterMark: 1 << 20 }) });
for await (const line of lines) {
  if (!line) continue;
  let row;
  try {
    row = JSON.parse(line);
  } catch {
    totals.skipped += 1;
    continue;
  }
  if (row === null || typeof row !== "object" || Array.isArray(row)) {
    totals.skipped += 1;
    continue;
  }
  const kind = kinds[row.status] ?? "unknown";
  totals[kind] += 1;
  count(statuses, row.status);
  count(scopes, row.scope);
  if (kind === "failure") count(errors, row.errorCode);
  if (Number.isFinite(row.durationMs)) durations.push(row.durationMs);
  count(retries, row.attempt - 1);
  const at = Date.parse(row.timestamp);
  if (!Number.isNaN(at)) {
    count(hours, Math.floor(at / 3600000));
    if (start === undefined || at < start) start = at;
    if (end === undefined || at > end) end = at;
  }
}
const sorted = Float64Array.from(durations).sort();
const rank = (p) => sorted[Math.max(Math.ceil((p * sorted.length) / 100) - 1, 0)];
const sum = durations.reduce((a, b) => a + b, 0);
console.log(JSON.stringify({
  totals, statuses: [...statuses], scopes: [...scopes], errors: [...errors], hours: hours.size,
  retries: [...retries], average: sum / sorted.length, p50: rank(50), p95: rank(95), p99: rank(99),
  max: sorted.at(-1), start, end,
}));
