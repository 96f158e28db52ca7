// A client of Tambur that does on the wire what tambur.js does, and believes what it
// believes: the balancer's script, the WebSocket whose first frame is the id, commands
// with handles, and the polls by scripts. It runs in a browser, and in Node with
// tambur_run.js. env has script(url), which runs the script of an address, and
// WebSocket, or nothing in its place to poll.
'use strict';

function TamburClient(env, root, tell) {
  const client = this;
  let handle = 0, acks = {}, socket = null;

  // Functions that scripts call are found by name from the top.
  root.tambur = {
    Utils: { connect_callback: (instance, address) => client.connect(address) },
    Comet: {
      oninit: (instance, text) => first(text),
      polling: (instance, data) => receive(data),
      receive: (instance, data) => receive(data),
    },
  };

  // The id is whatever comes first.
  function first(text) {
    client.id = text.substr(3);
    tell({ id: client.id });
    client.ready();
  }

  function receive(data) {
    if (data[0] === 'ack') {
      if (data[1] <= 0) throw new Error('process error ' + data[2]);
      if (data[2] === 'already_subscribed') throw new Error(data[2]);
      const done = acks[data[1]];
      delete acks[data[1]];
      if (!done) throw new Error('an answer to nothing: ' + JSON.stringify(data));
      done(data[2]);
    } else if (data[0] === 'msg') {
      const on = { auth: 'onauth', presence: 'onpresence', direct: 'ondirect' }[data[2]] || 'onmessage';
      tell({ [on]: data[3], stream: data[1] });
    }
  }

  client.start = (balancer) => env.script(balancer + '?instance=1&callback=tambur.Utils.connect_callback');

  client.connect = (address) => {
    tell({ address });
    if (env.WebSocket) {
      socket = new env.WebSocket(env.scheme + '://' + address);
      let opened = false;
      socket.onmessage = (e) => {
        if (!opened) { opened = true; first(e.data); } else { receive(JSON.parse(e.data)); }
      };
      socket.onclose = (e) => tell({ closed: e.code });
      return;
    }
    const [host, p1, p2] = address.split('/');
    const base = env.http + '://' + host + '/comet/' + p1 + '/' + p2 + '/';
    const stamp = () => '&ts=' + Date.now();
    const poll = () => {
      if (client.ended) return;
      env.script(base + client.id + '?instance=1&callback=tambur.Comet.polling' + stamp()).then(poll, () => tell({ closed: 'poll' }));
    };
    socket = {
      send: (text) => env.script(base + client.id + '?instance=1&callback=tambur.Comet.receive&data=' + encodeURIComponent(text) + stamp()),
      close: () => { client.ended = true; socket.send('fin'); },
    };
    env.script(base + address.split('/').slice(3).join('/') + '?instance=1&callback=tambur.Comet.oninit' + stamp()).then(poll);
  };

  client.command = (name, ...args) => new Promise((resolve) => {
    acks[++handle] = resolve;
    socket.send(JSON.stringify([name, handle, ...args]));
  });
  client.close = () => socket.close();
}

// What a page of the suites does: everything on, then wait for what comes. token asks
// the app's own server.
function tamburPage(env, root, tell, balancer, user, token) {
  const client = new TamburClient(env, root, tell);
  client.ready = async () => {
    const stream = 'mystream', done = [];
    done.push(await client.command('subscribe', stream));
    done.push(await client.command('subscribe', 'private'));
    done.push(await client.command('set_mode', 'auth', stream, await token('auth', stream, client.id)));
    for (const mode of ['presence', 'direct']) {
      done.push(await client.command('set_mode', mode, stream, user, await token(mode, stream + ':' + user, client.id)));
    }
    tell({ ready: done.join(' ') });
  };
  client.start(balancer);
  return client;
}

if (typeof module !== 'undefined') module.exports = { TamburClient, tamburPage };
