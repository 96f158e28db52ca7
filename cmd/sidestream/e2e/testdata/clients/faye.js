// npm faye in Node, over one transport. What it is given goes to standard output.
//   faye.js URL TRANSPORT TOKEN CHANNEL...
// TRANSPORT is websocket or long-polling, over which each handshake goes in any case. A
// line on standard error tells of each subscription.
'use strict';
const { tell, warn } = require('./common');
const faye = require('faye');

const [url, transport, token, ...channels] = process.argv.slice(2);
const client = new faye.Client(url, { retry: 1 });
if (transport !== 'websocket') client.disable('websocket');
if (token) client.setHeader('Authorization', 'Bearer ' + token);
client.addExtension({
  incoming(message, callback) {
    if (message.ext && message.ext.gap) warn('GAP', JSON.stringify(message));
    if (message.successful === false) warn('REFUSED', JSON.stringify(message));
    if (message.advice && message.advice.reconnect !== 'retry') warn('ADVICE', JSON.stringify(message));
    callback(message);
  },
});
client.on('transport:down', () => warn('DOWN'));
client.on('transport:up', () => warn('UP'));
for (const channel of channels) {
  client.subscribe(channel).withChannel((from, data) => tell({ channel: from, data }))
    .then(() => warn('SUBSCRIBED', channel, client._dispatcher._transport.connectionType), (e) => warn('ERROR', channel, e.message));
}
