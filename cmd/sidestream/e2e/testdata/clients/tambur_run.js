// The client of tambur.js, in Node or in Debian's Chromium.
//   node tambur_run.js node|chromium websocket|comet BALANCER USER KEY APP SECRET
// Each line of standard input is a command to the client, as a JSON array. What the
// client is told is printed, one JSON object a line.
'use strict';
const crypto = require('crypto'), fs = require('fs'), os = require('os'), path = require('path'), vm = require('vm');
const readline = require('readline');
const { tell, warn } = require('./common');
const { tamburPage } = require('./tambur');
const [where, how, balancer, user, key, app, secret] = process.argv.slice(2);

// What the app's own server does.
const token = (mode, property, subscriber) =>
  crypto.createHmac('sha1', secret).update([key, app, mode, property, subscriber].join(':')).digest('hex');

const inNode = () => {
  const root = {};
  const scripts = vm.createContext(root);
  const env = {
    scheme: 'ws', http: 'http',
    script: async (url) => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(url + ': ' + response.status);
      vm.runInContext(await response.text(), scripts);
    },
    WebSocket: how === 'websocket' && require('faye-websocket').Client,
  };
  const client = tamburPage(env, root, tell, balancer, user, token);
  return { command: (...args) => client.command(...args), close: () => client.close() };
};

const inChromium = async () => {
  const { chromium } = require('playwright-core');
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'chromium-'));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
    env: { ...process.env, HOME: profile, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
  });
  process.on('exit', () => fs.rmSync(profile, { recursive: true, force: true }));
  const page = await (await browser.newContext()).newPage();
  page.on('pageerror', (e) => tell({ error: String(e) }));
  page.on('console', (m) => warn(m.type(), m.text()));
  await page.goto(new URL(balancer).origin + '/page');
  await page.exposeFunction('tell', tell);
  await page.exposeFunction('token', token);
  await page.addScriptTag({ path: path.join(__dirname, 'tambur.js') });
  await page.evaluate(([how, balancer, user]) => {
    const env = {
      scheme: 'ws', http: 'http',
      script: (url) => new Promise((resolve, reject) => {
        const element = document.createElement('script');
        element.src = url;
        element.onload = resolve;
        element.onerror = reject;
        document.head.appendChild(element);
      }),
      WebSocket: how === 'websocket' && WebSocket,
    };
    window.client = tamburPage(env, window, window.tell, balancer, user, window.token);
  }, [how, balancer, user]);
  return {
    command: (...args) => page.evaluate((args) => window.client.command(...args), args),
    close: () => page.evaluate(() => window.client.close()),
  };
};

(async () => {
  const client = where === 'node' ? inNode() : await inChromium();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const args = JSON.parse(line);
    if (args[0] === 'close') await client.close();
    else tell({ answer: await client.command(...args) });
  }
})().catch((e) => { warn(e.stack); process.exit(1); });
