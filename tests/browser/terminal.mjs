// Pictures of what a program has written to a terminal: xterm.js shows it, as a real terminal does.

import { require } from "./chromium.mjs";

const THEME = {
  background: "#15181c", foreground: "#e4e7eb", green: "#57c785", brightGreen: "#57c785", yellow: "#e8b339", brightYellow: "#e8b339",
  red: "#ff6b6b", brightRed: "#ff6b6b", magenta: "#c792ea", brightMagenta: "#c792ea",
};

/** A picture of `text`, as written to a terminal of so many columns, in a file. */
export async function terminal(browser, text, columns, path) {
  const page = await browser.newPage({ viewport: { width: 1600, height: 2000 } });
  await page.setContent(`<body style="margin: 0; background: ${THEME.background}"><div id="frame" style="display: inline-block; padding: 14px"></div></body>`);
  await page.addStyleTag({ path: require.resolve("@xterm/xterm/css/xterm.css") });
  await page.addScriptTag({ path: require.resolve("@xterm/xterm/lib/xterm.js") });
  await page.evaluate(async ([text, columns, theme]) => {
    const shown = new Terminal({ cols: columns, rows: 100, theme, fontFamily: "DejaVu Sans Mono", fontSize: 15, scrollback: 0 });
    shown.open(document.querySelector("#frame"));
    const noCursor = "\x1b[?25l";
    await new Promise(done => shown.write(noCursor + text.trimEnd(), done));
    // A long line takes several rows.
    shown.resize(columns, shown.buffer.active.cursorY + 1);
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  }, [text, columns, THEME]);
  await page.locator("#frame").screenshot({ path });
  await page.close();
}
