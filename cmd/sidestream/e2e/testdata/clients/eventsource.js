// EventSource outside of browsers: npm eventsource (0.1.6, 1.1.2 and 3.0.7) and
// event-source-polyfill, the one that Flowdock's manual names.
//   eventsource.js eventsource0|eventsource|eventsource3|polyfill URL [TOKEN]
'use strict';
const { tell, warn } = require('./common');

const [kind, url, token] = process.argv.slice(2);
const authorization = token && 'Basic ' + Buffer.from(token + ':').toString('base64');
const headers = authorization ? { Authorization: authorization } : {};

function open() {
  switch (kind) {
    case 'polyfill':
      return new (require('event-source-polyfill').EventSourcePolyfill)(url, { headers });
    case 'eventsource3':
      return new (require('eventsource3').EventSource)(url, {
        fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
      });
    default:
      return new (require(kind))(url, { headers });
  }
}

const source = open();
source.onopen = () => warn('OPEN');
source.onerror = (e) => warn('ERROR', e.status || e.code || '', e.message || '');
source.onmessage = (e) => tell({ id: e.lastEventId, data: JSON.parse(e.data) });
source.addEventListener('gap', (e) => tell({ id: e.lastEventId, gap: JSON.parse(e.data) }));
