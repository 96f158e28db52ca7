// What the Node clients share: messages go to standard output, one JSON object
// a line, and the process ends when its standard input is closed.
'use strict';

exports.tell = (message) => process.stdout.write(JSON.stringify(message) + '\n');
exports.warn = (...words) => process.stderr.write(words.join(' ') + '\n');

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
