// npm jsforce's streaming, with its replay extension.
//   jsforce.js URL TOKEN CHANNEL REPLAY
// What it is given goes to standard output. A line on standard error tells of the
// subscription, or why there is none.
'use strict';
const { tell, warn } = require('./common');
const jsforce = require('jsforce');
require('jsforce/api/streaming');
const { AuthFailure, Replay } = require('jsforce/lib/api/streaming/extension');

const [instanceUrl, accessToken, channel, replay] = process.argv.slice(2);
const connection = new jsforce.Connection({ instanceUrl, accessToken, version: '58.0' });
const client = connection.streaming.createClient([
  new Replay(channel, Number(replay)),
  new AuthFailure((message) => { warn('AUTH', JSON.stringify(message)); process.exit(1); }),
]);
client.subscribe(channel, tell).then(() => warn('SUBSCRIBED'), (e) => warn('ERROR', e.message));
