// A page in headless Chromium whose script calls our server, which is of another origin.
// Arguments: the port of the page, the server's URL, that of a server which lets no other origin
// call, the file of descriptors, and the browser's program.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [port, url, closedUrl, descriptors, program] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));

// Where the browser finds what a script imports by name.
const esm = (name) => `/node_modules/${name}/dist/esm`;
const imports = {
  "@bufbuild/protobuf": `${esm("@bufbuild/protobuf")}/index.js`,
  "@connectrpc/connect": `${esm("@connectrpc/connect")}/index.js`,
  "@connectrpc/connect-web": `${esm("@connectrpc/connect-web")}/index.js`,
};
for (const part of ["codegenv1", "codegenv2", "reflect", "wire", "wkt"]) {
  imports[`@bufbuild/protobuf/${part}`] = `${esm("@bufbuild/protobuf")}/${part}/index.js`;
}
for (const part of ["protocol", "protocol-connect", "protocol-grpc", "protocol-grpc-web"]) {
  imports[`@connectrpc/connect/${part}`] = `${esm("@connectrpc/connect")}/${part}/index.js`;
}
const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`;

const files = createServer((request, response) => {
  const path = normalize(new URL(request.url, "http://x").pathname);
  if (path === "/") return response.setHeader("content-type", "text/html").end(page);
  try {
    const text = readFileSync(path === "/descriptors" ? descriptors : join(here, path));
    if (/\.m?js$/.test(path)) response.setHeader("content-type", "text/javascript");
    response.end(text);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => files.listen(Number(port), "127.0.0.1", resolve));

const profile = mkdtempSync(join(tmpdir(), "dreammesh-chromium-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: program,
  headless: true,
  ignoreHTTPSErrors: true,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const failed = [];
let passed = 0;
try {
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${files.address().port}/`);
  const results = await tab.evaluate(async (url) => (await import("/page.mjs")).all(url), url);
  for (const result of results) {
    console.log(`${result.name}: ${result.passed} of ${result.passed + result.failed.length}`);
    passed += result.passed;
    failed.push(...result.failed);
  }
  const refused = await tab.evaluate(
    async (url) => (await import("/page.mjs")).refused(url),
    closedUrl,
  );
  if (refused !== "refused") failed.push(`an origin that may not call: ${refused}`);
} finally {
  await browser.close();
  files.close();
  rmSync(profile, { recursive: true, force: true });
}
failed.forEach((line) => console.error(line));
console.log(`${passed} passed, ${failed.length} failed`);
process.exit(failed.length === 0 && passed > 0 ? 0 : 1);
