// Tells what Node.js and npm are here, and which versions satisfy which ranges, by the semver that npm itself uses.
// Run inside the build's sandbox: the tree may be hostile. Arguments: a JSON document, and the directory of tools.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const { ranges, tool, range, versions } = JSON.parse(process.argv[2]);

function npmCli() {
  for (const directory of (process.env.PATH || "").split(":")) {
    try {
      return fs.realpathSync(path.join(directory, "npm"));
    } catch {
      // not in this one
    }
  }
  return null;
}

function kept(directory) {
  try {
    const start = `${tool}-`;
    return fs.readdirSync(directory).filter((n) => n.startsWith(start)).map((n) => n.slice(start.length));
  } catch {
    return [];
  }
}

const prefix = path.dirname(path.dirname(process.execPath));
const answer = {
  node: process.versions.node,
  abi: process.versions.modules,
  path: process.execPath,
  prefix,
  headers: fs.existsSync(path.join(prefix, "include/node/node.h")),
  npm: null,
  satisfied: {},
  best: null,
};
const cli = npmCli();
if (cli) {
  const from = path.dirname(cli);
  const semver = require(require.resolve("semver", { paths: [from] }));
  const here = { node: answer.node, npm: JSON.parse(fs.readFileSync(path.join(from, "../package.json"))).version };
  answer.npm = here.npm;
  const loose = { loose: true };
  for (const [name, wanted] of Object.entries(ranges)) {
    const valid = semver.validRange(wanted, loose) !== null;
    answer.satisfied[name] = valid ? Boolean(here[name]) && semver.satisfies(here[name], wanted, loose) : null;
  }
  if (range) {
    const among = (list) => semver.maxSatisfying(list.filter((v) => semver.valid(v)), range, loose);
    answer.best = among(versions) || among(kept(process.argv[3]));
  }
}
console.log(JSON.stringify(answer));
