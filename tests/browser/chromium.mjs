// Debian's Chromium, driven by the Node modules of tests/setup.sh.

import { createRequire } from "node:module";
import { join } from "node:path";

const { MODULES, CHROMIUM } = process.env;

/** `require` for the installed modules. */
export const require = createRequire(join(MODULES, "package.json"));

/** A browser that asks nobody for anything by itself. */
export const launch = () => require("playwright-core").chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
