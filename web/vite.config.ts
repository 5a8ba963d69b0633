import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

/** Files of `folder`, sorted, with paths relative to it. */
function files(folder: string, prefix = ""): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? files(folder, join(prefix, entry.name)) : [join(prefix, entry.name)]));
}

/** The hash of the page's sources: a page cannot contain its own CID. */
function sourceHash(): string {
  const hash = createHash("sha256");
  for (const name of ["index.html", "package-lock.json", ...files("src").map((file) => join("src", file))]) {
    hash.update(name).update("\0").update(readFileSync(name)).update("\0");
  }
  return hash.digest("hex");
}

export default defineConfig({
  base: "./",
  define: { __SOURCE_HASH__: JSON.stringify(sourceHash()) },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../node/covey/web/site",
    emptyOutDir: true,
    assetsDir: "",
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
} as Parameters<typeof defineConfig>[0]);
