#!/usr/bin/env node
// The Solidity compiler from npm (solc-js) behind the command line of the native `solc`, as far as ape (py-solc-x) and
// forge use it: `--version`, and `--standard-json` with the input on stdin.
//
// - Sources given by `urls`, and imports that the input does not hold, are read from --base-path, then from each
//   --include-path. `--allow-paths` is accepted and has no effect: whoever may run this may read those files anyway.
// - Where COVEY_SOLC_NATIVE names a native compiler, that one compiles; scripts/install_solc.sh has compared its version.
// - ape has no setting for the metadata hash. Where the input says nothing, the hash of the sources is left out of the
//   bytecode, as foundry.toml and scripts/artifacts.py ask for too: code then depends on code, not on comments or paths.
"use strict";

const childProcess = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

function fail(message) {
  process.stderr.write(`Error: ${message}\n`);
  process.exit(1);
}

/** Splits `argv` into the options this program knows; anything else is refused, so no flag is ignored in silence. */
function parseArguments(argv) {
  const options = { basePath: "", includePaths: [], version: false, standardJson: false };
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = argv[i].split(/=(.*)/s, 2);
    const value = () => inline ?? argv[++i] ?? fail(`option ${name} needs a value`);
    if (name === "--version") options.version = true;
    else if (name === "--standard-json") options.standardJson = true;
    else if (name === "--base-path") options.basePath = value();
    else if (name === "--include-path") options.includePaths.push(value());
    else if (name === "--allow-paths") value();
    else if (name !== "-") fail(`unrecognised option '${argv[i]}'`);
  }
  return options;
}

/** Reads a source unit by its name. Returns `{contents}` or `{error}`, the form solc-js expects of a callback. */
function makeReader({ basePath, includePaths }) {
  const roots = [basePath, ...includePaths];
  return (unit) => {
    const name = unit.replace(/^file:\/\//, "");
    for (const root of roots) {
      const file = path.resolve(root || ".", name);
      if (fs.existsSync(file) && fs.statSync(file).isFile()) return { contents: fs.readFileSync(file, "utf8") };
    }
    return { error: `${name} not found in ${roots.map((root) => path.resolve(root || ".")).join(", ")}` };
  };
}

/** Fills in what the input refers to, then runs the compiler. Returns the standard JSON output as text. */
function compile(text, read) {
  const input = JSON.parse(text);
  for (const [unit, source] of Object.entries(input.sources ?? {})) {
    if (source.content !== undefined) continue;
    const found = (source.urls ?? [unit]).map(read).find((answer) => answer.contents !== undefined);
    if (found) input.sources[unit] = { content: found.contents };
  }
  if (input.language === "Solidity") {
    input.settings ??= {};
    input.settings.metadata ??= { bytecodeHash: "none" };
  }
  const native = process.env.COVEY_SOLC_NATIVE;
  if (!native) return require("solc").compile(JSON.stringify(input), { import: read });
  const given = process.argv.slice(2).filter((argument) => argument !== "-");
  const { status, stdout, stderr, error } = childProcess.spawnSync(native, given, {
    input: JSON.stringify(input),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  if (error || status !== 0) fail(`${native}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}

function main() {
  const options = parseArguments(process.argv.slice(2));
  if (options.version) {
    process.stdout.write(
      `solc, the solidity compiler commandline interface\nVersion: ${require("solc").version()}\n`,
    );
  } else if (options.standardJson) {
    process.stdout.write(compile(fs.readFileSync(0, "utf8"), makeReader(options)));
  } else {
    fail("only --version and --standard-json are supported");
  }
}

main();
