// npm cometd in Node, with the extensions for acknowledgements and time.
// Its WebSocket sends no headers, so that the token stands in the address.
//   cometd.js URL TRANSPORT TOKEN CHANNEL...
'use strict';
const { tell, warn } = require('./common');
require('cometd-nodejs-client').adapt();
const { CometD } = require('cometd');
const { AckExtension } = require('cometd');
const { TimeSyncExtension } = require('cometd');

const [url, transport, token, ...channels] = process.argv.slice(2);
const client = new CometD();
const time = new TimeSyncExtension();
client.registerExtension('ack', new AckExtension());
client.registerExtension('timesync', time);
if (transport !== 'websocket') client.unregisterTransport('websocket');
client.configure({ url: url + '?access_token=' + token, appendMessageTypeToURL: false, backoffIncrement: 200, maxBackoff: 1000 });
// A request that was cut off (failure) is no refusal: the client sends it again.
client.addListener('/meta/unsuccessful', (m) => warn(m.failure && m.failure.httpCode === 0 ? 'CUT' : 'REFUSED', JSON.stringify(m)));
client.handshake((reply) => {
  if (!reply.successful) { warn('ERROR', JSON.stringify(reply)); return; }
  warn('ACK', JSON.stringify(reply.ext));
  for (const channel of channels) {
    client.subscribe(channel, (m) => tell({ channel: m.channel, data: m.data }), (r) => {
      warn(r.successful ? 'SUBSCRIBED' : 'ERROR', channel, client.getTransport().type, JSON.stringify(r), Math.round(time.getNetworkLag()));
    });
  }
});
