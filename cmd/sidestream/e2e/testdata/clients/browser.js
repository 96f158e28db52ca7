// The demo's page in Debian's Chromium, driven by commands on standard input,
// one JSON array a line; the answer is one JSON object a line. Windows have
// separate cookies, as two people have.
//   ["open", WINDOW, URL, NAME]     sign in there as NAME
//   ["type", WINDOW, TEXT]          write a message and press Enter
//   ["see", WINDOW, TEXT]           wait until the page shows a message with it
//   ["state", WINDOW, STATE]        wait until the page says it is live, or connecting
//   ["messages", WINDOW]            → the texts of all messages, in order, and what went wrong
//   ["present", WINDOW, TEXT]       wait until the page says who is in the room
//   ["reload", WINDOW]
//   ["room", WINDOW, NAME]          go to another room
//   ["screenshot", WINDOW, FILE]
//   ["faye", WINDOW, URL, TRANSPORT, CHANNELS] → how a page that has Faye's browser client is connected, with nothing
//                                  but this transport, once it has subscribed to all channels
//   ["heard", WINDOW, COUNT]       → what that page was told, when it is so much
//   ["visit", WINDOW, URL]          go there without signing in; COOKIE may follow, for that page's host
//   ["listen", WINDOW, URL, COOKIES] → what an EventSource gets: its first message, or that it failed
//   ["fetch", WINDOW, URL, TOKEN]   → the status and the beginning of what fetch gets, or that it failed
'use strict';
const { chromium } = require('playwright-core');
const fs = require('fs'), os = require('os'), path = require('path');
const readline = require('readline');

const warn = (...words) => console.error(...words);
const wait = { timeout: 30000 };
const pages = {};
const complaints = [];

const commands = {
  async open(browser, name, url, person) {
    const context = await browser.newContext();
    const page = pages[name] = await context.newPage();
    page.on('console', (m) => warn(name, m.type(), m.text()));
    page.on('pageerror', (e) => { complaints.push(String(e)); warn(name, 'PAGE ERROR', e); });
    await page.goto(url);
    await page.getByRole('button', { name: person, exact: true }).click(wait);
    await page.locator('#app').waitFor(wait);
  },
  async type(_, name, text) {
    await pages[name].locator('#body').fill(text);
    await pages[name].locator('#body').press('Enter');
  },
  async see(_, name, text) {
    await pages[name].locator('#messages li:not(.pending) .text', { hasText: text }).first().waitFor(wait);
  },
  async state(_, name, state) {
    await pages[name].locator(`#state[data-state=${state}]`).waitFor(wait);
  },
  async present(_, name, text) {
    await pages[name].locator('#present', { hasText: text }).waitFor(wait);
  },
  async messages(_, name) {
    const notes = await pages[name].locator('#error:not(:empty), #messages .gap').allTextContents();
    return {
      messages: await pages[name].locator('#messages li:not(.pending) .text').allTextContents(),
      complaints: [...complaints, ...notes],
    };
  },
  async reload(_, name) { await pages[name].reload(); },
  async room(_, name, room) { await pages[name].getByRole('button', { name: room }).click(wait); },
  async visit(browser, name, url, cookie) {
    const context = await browser.newContext();
    const page = pages[name] = await context.newPage();
    await page.goto(url);
    if (cookie) await page.evaluate((c) => { document.cookie = c; }, cookie);
  },
  async listen(_, name, url, cookies) {
    const got = await pages[name].evaluate(([url, cookies]) => new Promise((resolve) => {
      const stream = new EventSource(url, { withCredentials: cookies === 'with cookies' });
      stream.onmessage = (e) => { stream.close(); resolve(e.data); };
      stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) resolve('failed'); };
    }), [url, cookies]);
    return { got };
  },
  async fetch(_, name, url, token) {
    const got = await pages[name].evaluate(async ([url, token]) => {
      const stop = new AbortController();
      try {
        const headers = token ? { Authorization: 'Bearer ' + token } : {};
        const response = await fetch(url, { headers, credentials: token ? 'omit' : 'include', signal: stop.signal });
        let text = '';
        const reader = response.body.getReader();
        while (!text.trim()) {
          const { value, done } = await reader.read();
          if (done) break;
          text += new TextDecoder().decode(value);
        }
        stop.abort();
        return response.status + ' ' + text;
      } catch (e) { return 'failed'; }
    }, [url, token]);
    return { got };
  },
  async faye(_, name, url, transport, channels) {
    const connected = await pages[name].evaluate(async ([url, transport, channels]) => {
      const client = window.client = new Faye.Client(url, { retry: 1 });
      for (const other of ['websocket', 'eventsource', 'long-polling', 'cross-origin-long-polling', 'callback-polling']) {
        // The handshake needs one of the polling transports.
        const first = location.origin === new URL(url, location).origin ? 'long-polling' : 'callback-polling';
        if (other !== transport && other !== first) client.disable(other);
      }
      window.heard = [];
      for (const channel of channels.split(' ')) {
        await client.subscribe(channel).withChannel((from, data) => window.heard.push(from + ' ' + (data.content || JSON.stringify(data))));
      }
      return client._dispatcher._transport.connectionType;
    }, [url, transport, channels]);
    return { connected };
  },
  async heard(_, name, count) {
    await pages[name].waitForFunction((n) => window.heard.length >= n, Number(count), wait);
    return { heard: await pages[name].evaluate(() => window.heard) };
  },
  async screenshot(_, name, file) { await pages[name].screenshot({ path: file }); },
};

(async () => {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'chromium-'));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
    env: { ...process.env, HOME: profile, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
  });
  const end = async () => {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
    process.exit(0);
  };
  process.on('SIGTERM', end);
  console.log(JSON.stringify({ ready: browser.version() }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, ...rest] = JSON.parse(line);
    try {
      console.log(JSON.stringify({ ok: true, ...await commands[command](browser, ...rest) }));
    } catch (e) {
      console.log(JSON.stringify({ ok: false, error: String(e) }));
    }
  }
  await end();
})().catch((e) => { warn(e.stack); process.exit(1); });
