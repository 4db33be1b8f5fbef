// A picture of two graphs on Prometheus' own page: what each end says, and the incidents.

import { launch } from "../browser/chromium.mjs";

const { PROMETHEUS, SECONDS, VPN, PICTURE } = process.env;
const GRAPHS = [
  `sum by (end) (bothends_tunnel_verdict{vpn="${VPN}", verdict="up"})`,
  `sum by (kind) (bothends_incident_open{kind=~"outage|redundancy_lost"})`,
];

const parameters = new URLSearchParams();
GRAPHS.forEach((expression, at) => {
  parameters.set(`g${at}.expr`, expression);
  parameters.set(`g${at}.tab`, "0");
  parameters.set(`g${at}.range_input`, `${SECONDS}s`);
});

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1000, height: 1200 } });
  page.setDefaultTimeout(30e3);
  await page.goto(`${PROMETHEUS}/classic/graph?${parameters}`);
  for (let at = 0; at < GRAPHS.length; at += 1) await page.locator(`#graph_wrapper${at} .graph path`).nth(1).waitFor({ state: "attached" });
  await page.evaluate(() => document.activeElement.blur());
  // The page is a little wider than the window.
  await page.locator("body").screenshot({ path: PICTURE, animations: "disabled" });
} finally {
  await browser.close();
}
