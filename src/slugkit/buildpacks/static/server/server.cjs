// Serves the directory $HOME on $PORT: one process, express's serve-static, no dot files.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const serveStatic = require("serve-static");

const ROOT = process.env.HOME;
const LARGEST_TAGGED = 16 * 2 ** 20; // bytes: 20 ms of hashing, once
const tags = new Map();

// A slug's files may all bear one time: what validates a cached file is its content.
function tagged(response, file, info) {
  if (info.size > LARGEST_TAGGED) return; // by time and size, as serve-static does
  const key = `${file}\0${info.mtimeMs}\0${info.size}`;
  if (!tags.has(key)) {
    tags.set(key, `"${crypto.createHash("sha256").update(fs.readFileSync(file)).digest("base64url").slice(0, 27)}"`);
  }
  response.setHeader("ETag", tags.get(key));
}

function isHidden(url) {
  try {
    const names = decodeURIComponent(url.split("?", 1)[0]).split(/[/\\]/);
    return names.some((name) => name.startsWith(".") && name !== ".well-known");
  } catch {
    return false; // no URL: serve-static refuses it
  }
}

function notFound(request, response, status = 404) {
  let page = null;
  try {
    page = status === 404 ? fs.readFileSync(path.join(ROOT, "404.html")) : null;
  } catch {
    // the app has none
  }
  const text = page ?? Buffer.from(`${http.STATUS_CODES[status]}\n`);
  response.statusCode = status;
  response.setHeader("Content-Type", `text/${page ? "html" : "plain"}; charset=utf-8`);
  response.setHeader("Content-Length", text.length);
  response.end(request.method === "HEAD" ? undefined : text);
}

const files = serveStatic(ROOT, { dotfiles: "allow", lastModified: false, setHeaders: tagged });
let stopping = false;

const server = http.createServer((request, response) => {
  response.setHeader("X-Content-Type-Options", "nosniff");
  if (stopping) response.setHeader("Connection", "close");
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    notFound(request, response, 405);
  } else if (isHidden(request.url)) {
    notFound(request, response);
  } else {
    files(request, response, (error) => notFound(request, response, error?.status));
  }
});

function stop() {
  stopping = true;
  server.close(() => process.exit(0));
  setInterval(() => server.closeIdleConnections(), 50).unref();
}

process.on("SIGTERM", stop);
process.on("SIGINT", stop);
server.listen(process.env.PORT, () => console.log(`Serving static files on port ${process.env.PORT}`));
