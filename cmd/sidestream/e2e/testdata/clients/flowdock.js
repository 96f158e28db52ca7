// The stream of npm flowdock (node-flowdock), the vendor's own library. Its
// addresses come from FLOWDOCK_STREAM_URL and FLOWDOCK_API_URL.
//   flowdock.js TOKEN FLOW...
'use strict';
const { tell, warn } = require('./common');
const { Session } = require('flowdock');

const [token, ...flows] = process.argv.slice(2);
const session = new Session(token);
session.on('error', (e) => warn('ERROR', e));
const stream = session.stream(flows, { active: 'idle', user: 1 });
stream.on('connected', () => warn('CONNECTED'));
stream.on('clientError', (status, text) => warn('ERROR', status, text));
stream.on('reconnecting', (wait) => warn('RECONNECT', wait));
stream.on('message', tell);
