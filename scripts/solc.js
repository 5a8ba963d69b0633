#!/usr/bin/env node
// The Solidity compiler from npm (solc-js) behind the command line of the native `solc`, as far as forge and py-solc-x
// use it: `--version`, and `--standard-json` with the input on stdin.
//
// - Sources given by `urls`, and imports that the input does not hold, are read from --base-path, then from each
//   --include-path. `--allow-paths` is accepted and has no effect: the caller can read those files anyway.
// - The compiler uses one core. An input that holds all its sources is split over the cores: each job gets all sources and
//   selects the outputs of some, so the bytecode is the same as from one job.
// - Tests compile without IR, in a fifth of the time: they deploy the contracts by their artifacts, which have it. A test
//   says `// via-IR: why` on a line of its own to compile like the contracts.
// - Where COVEY_SOLC_CACHE names a folder, the output of each job is kept there under the hash of the compiler's version
//   and the job's input. A job that reads files besides its input is not kept.
// - Where COVEY_SOLC_NATIVE names a native compiler, that one compiles; scripts/install_solc.sh has compared its version.
// - Where the input has no metadata settings, the hash of the sources is left out of the bytecode, as in foundry.toml and
//   scripts/artifacts.py. The code then depends on code, not on comments or paths.
"use strict";

const childProcess = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const CACHED_JOBS = 64; // outputs kept in COVEY_SOLC_CACHE; the least recently used are deleted

function fail(message) {
  process.stderr.write(`Error: ${message}\n`);
  process.exit(1);
}

/** Splits `argv` into the options this program knows; anything else is refused, so no flag is ignored silently. */
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

/** Returns a function that reads a source unit by its name, as `{contents}` or `{error}`: solc-js's import callback. */
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

/** Parses a standard JSON input, and fills in the sources given by `urls` and the metadata settings. */
function completeInput(text, read) {
  const input = JSON.parse(text);
  for (const [unit, source] of Object.entries(input.sources ?? {})) {
    if (source.content !== undefined) continue;
    const found = (source.urls ?? [unit]).map(read).find((result) => result.contents !== undefined);
    if (found) input.sources[unit] = { content: found.contents };
  }
  if (input.language === "Solidity") {
    input.settings ??= {};
    input.settings.metadata ??= { bytecodeHash: "none" };
  }
  return input;
}

/** Runs the compiler once, in this thread. Returns the standard JSON output, and whether it read files besides. */
function runCompiler(input, argv) {
  const native = process.env.COVEY_SOLC_NATIVE;
  if (!native) {
    const readFile = makeReader(parseArguments(argv));
    let readFiles = false;
    const read = (unit) => {
      readFiles = true;
      return readFile(unit);
    };
    return { output: require("solc").compile(input, { import: read }), readFiles };
  }
  const given = argv.filter((argument) => argument !== "-");
  const { status, stdout, stderr, error } = childProcess.spawnSync(native, given, {
    input,
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  if (error || status !== 0) throw new Error(`${native}: ${error?.message ?? stderr.trim()}`);
  return { output: stdout, readFiles: true };
}

/** Runs the compiler in another thread. */
function runInThread(input, argv) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { input, argv } });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

/** Whether a source compiles without IR. */
function isPlainTest(unit, source) {
  return unit.startsWith("tests/solidity/") && !/^\/\/ via-IR: /m.test(source);
}

/**
 * Splits an input into jobs: those with the input's settings, and those of the tests that compile without IR, one of both
 * for each core. Sources are shared out by size, which the time for their code goes by.
 */
function splitInput(input, cores) {
  const { "*": everywhere, ...selection } = input.settings?.outputSelection ?? {};
  for (const unit of everywhere ? Object.keys(input.sources ?? {}) : []) {
    const merged = { ...everywhere };
    for (const [name, outputs] of Object.entries(selection[unit] ?? {})) {
      merged[name] = [...(merged[name] ?? []), ...outputs];
    }
    selection[unit] = merged;
  }
  const units = Object.keys(selection);
  const needsCode = (unit) => Object.values(selection[unit]).flat().some((name) => /^(\*|evm|ir|metadata$)/.test(name));
  const size = (unit) => (needsCode(unit) ? input.sources[unit].content.length : 0);
  if (!units.every((unit) => input.sources[unit]?.content !== undefined)) return [input];
  const viaIR = input.settings?.viaIR === true;
  const isPlain = (unit) => viaIR && size(unit) > 0 && isPlainTest(unit, input.sources[unit].content);
  const used = [true, false].flatMap((plain) => {
    const parts = Array.from({ length: Math.max(cores, 1) }, () => ({ plain, size: 0, selection: {} }));
    const chosen = units.filter((unit) => isPlain(unit) === plain);
    for (const unit of chosen.sort((a, b) => size(b) - size(a) || (a < b ? -1 : 1))) {
      const part = parts.reduce((least, other) => (other.size < least.size ? other : least));
      part.size += size(unit);
      part.selection[unit] = selection[unit];
    }
    return parts.filter((part) => part.size > 0);
  });
  if (used.length < 2 && !used[0]?.plain) return [input];
  return used.map(({ plain, selection: outputSelection }) => {
    const changes = plain ? { viaIR: false, optimizer: { enabled: true, runs: 1 } } : {};
    return { ...input, settings: { ...input.settings, ...changes, outputSelection } };
  });
}

/** Joins the outputs of jobs over the same sources. */
function mergeOutputs(outputs) {
  const byName = (object) => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
  const errors = new Map(outputs.flatMap((output) => output.errors ?? []).map((error) => [JSON.stringify(error), error]));
  const merged = { contracts: {}, sources: {} };
  for (const output of outputs) {
    Object.assign(merged.contracts, output.contracts);
    for (const [unit, source] of Object.entries(output.sources ?? {})) {
      merged.sources[unit] = { ...merged.sources[unit], ...source };
    }
  }
  merged.contracts = byName(merged.contracts);
  merged.sources = byName(merged.sources);
  return errors.size ? { errors: [...errors.values()], ...merged } : merged;
}

/** The outputs of earlier jobs, in files named by hash. */
class Cache {
  constructor(folder) {
    this.folder = folder;
    this.version = folder && (process.env.COVEY_SOLC_NATIVE ?? "") + require("solc/package.json").version;
  }

  #file(input) {
    return path.join(this.folder, crypto.createHash("sha256").update(`${this.version}\n${input}`).digest("hex"));
  }

  get(input) {
    if (!this.folder) return undefined;
    const file = this.#file(input);
    try {
      const output = fs.readFileSync(file, "utf8");
      fs.utimesSync(file, new Date(), new Date());
      return output;
    } catch {
      return undefined;
    }
  }

  set(input, output) {
    if (!this.folder) return;
    const file = this.#file(input);
    fs.mkdirSync(this.folder, { recursive: true });
    fs.writeFileSync(`${file}.${process.pid}`, output);
    fs.renameSync(`${file}.${process.pid}`, file); // readers see the whole file or none
    const files = fs.readdirSync(this.folder).map((name) => path.join(this.folder, name));
    const used = (file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const byUse = files.map((file) => [used(file), file]).sort(([a], [b]) => b - a);
    for (const [, old] of byUse.slice(CACHED_JOBS)) fs.rmSync(old, { force: true });
  }
}

/** Runs one job, or takes its output from the cache. */
async function runJob(job, argv, cache, inThread) {
  const input = JSON.stringify(job);
  const cached = cache.get(input);
  if (cached !== undefined) return { output: cached, readFiles: false };
  const result = inThread ? await runInThread(input, argv) : runCompiler(input, argv);
  if (!result.readFiles) cache.set(input, result.output);
  return result;
}

/** Compiles a standard JSON input. Returns the standard JSON output as text. */
async function compile(text, argv, read) {
  const input = completeInput(text, read);
  const cache = new Cache(process.env.COVEY_SOLC_CACHE);
  const cores = Number(process.env.COVEY_SOLC_JOBS) || os.availableParallelism();
  const jobs = process.env.COVEY_SOLC_NATIVE ? [input] : splitInput(input, cores);
  // The last job runs in this thread, after the others have started theirs.
  const results = await Promise.all(jobs.map((job, index) => runJob(job, argv, cache, index < jobs.length - 1)));
  if (results.length === 1) return results[0].output;
  // Outputs of sources that the input does not hold are selected in no job, so one job compiles everything again.
  if (results.some((result) => result.readFiles)) return runCompiler(JSON.stringify(input), argv).output;
  return JSON.stringify(mergeOutputs(results.map((result) => JSON.parse(result.output))));
}

async function main() {
  const argv = process.argv.slice(2);
  const options = parseArguments(argv);
  if (options.version) {
    process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${require("solc").version()}\n`);
  } else if (options.standardJson) {
    process.stdout.write(await compile(fs.readFileSync(0, "utf8"), argv, makeReader(options)));
  } else {
    fail("only --version and --standard-json are supported");
  }
}

if (isMainThread) main().catch((error) => fail(error.message));
else parentPort.postMessage(runCompiler(workerData.input, workerData.argv));
