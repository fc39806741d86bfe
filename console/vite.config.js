import { svelte } from "@sveltejs/vite-plugin-svelte";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

const BUILT = "../service/pages/console";
const SOURCES = ["index.html", "package-lock.json", "package.json", "src", "vite.config.js"];

/** The files below a path, in the order of their names. */
function filesOf(path) {
  const entries = readdirSync(".", { withFileTypes: true }).filter((one) => one.name === path);
  if (entries[0]?.isFile()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name))
    .sort();
}

/** Writes the hash of the sources beside what is built of them; a test compares the two. */
const stamp = {
  name: "stamp",
  closeBundle() {
    const digest = createHash("sha256");
    for (const file of SOURCES.flatMap(filesOf)) {
      digest.update(`${file}\0`).update(readFileSync(file)).update("\0");
    }
    writeFileSync(join(BUILT, "sources.sha256"), digest.digest("hex") + "\n");
  },
};

export default defineConfig({
  base: "/console/",
  plugins: [svelte(), stamp],
  build: {
    outDir: BUILT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        // Names that stay, so that a change of the console is a change of files, not of names.
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
      },
    },
  },
});
