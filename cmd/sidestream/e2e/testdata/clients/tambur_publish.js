// Publishes as tambur.js does: an XMLHttpRequest's body that is not escaped, but for
// the signature, and ?debug=true behind an address that was signed without it.
//   node tambur_publish.js URL KEY SECRET MESSAGE
'use strict';
const crypto = require('crypto'), http = require('http');
const [url, key, secret, message] = process.argv.slice(2);

// percentEncode of the OAuth library that it comes with.
const encode = (text) => encodeURIComponent(text).replace(/[!*'()]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());
const parameters = {
  oauth_consumer_key: key, oauth_nonce: crypto.randomBytes(6).toString('hex'), oauth_signature_method: 'HMAC-SHA1',
  oauth_timestamp: Math.floor(Date.now() / 1000), oauth_version: '1.0', api_version: '1.0', message,
};
const signed = Object.keys(parameters).map((k) => encode(k) + '=' + encode(parameters[k])).sort().join('&');
const signature = crypto.createHmac('sha1', encode(secret) + '&').update(['POST', encode(url), encode(signed)].join('&')).digest('base64');
const body = Object.keys(parameters).map((k) => k + '=' + parameters[k]).concat('oauth_signature=' + encode(signature)).join('&');
const { hostname, port, pathname } = new URL(url);
const request = http.request({
  hostname, port, path: pathname + '?debug=true', method: 'POST',
  headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body), Origin: 'http://a.page' },
}, (response) => {
  console.log(JSON.stringify({ status: response.statusCode, origin: response.headers['access-control-allow-origin'] }));
});
request.end(body);
